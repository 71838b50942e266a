#include <gtest/gtest.h>

#include <chrono>
#include <thread>

#include "runtime/ops/step_state.h"
#include "tests/ops/cpu_devices.h"

namespace strata::test::weights {
namespace {

// A decoded token needs one row, which no other thread is worth waking for.
TEST(Embed, OneRowLeavesThePoolAsleep) {
  const std::int64_t dim = 1 << 16;
  const Tensor table = make_tensor({DType::F32, Layout::rows, {50, dim}});
  const StepCapacity capacity{1, 1, 1, 64};
  const Tensor step = make_tensor(
      {DType::I8, Layout::rows, {1, static_cast<std::int64_t>(step_state_bytes(capacity))}});
  format_step_state(step.view.data, capacity).token_count = 1;
  const Tensor out = make_tensor({DType::F32, Layout::rows, {1, dim}});
  cpu::CpuDevice device({3, "baseline"});
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(60);
  while (device.pool().sleeping() < 2 && std::chrono::steady_clock::now() < deadline)
    std::this_thread::yield();
  run_op(device, Embed{}, {table.view, step.view}, {out.view});
  EXPECT_EQ(device.pool().sleeping(), 2);
}

}  // namespace
}  // namespace strata::test::weights
