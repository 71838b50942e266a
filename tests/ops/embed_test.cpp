#include <gtest/gtest.h>

#include <chrono>
#include <thread>

#include "runtime/ops/step_state.h"
#include "tests/ops/weight_ops.h"
#include "tests/reference/dequantize.h"

namespace strata::test::weights {
namespace {

constexpr std::int64_t kVocabulary = 50;

// A step whose tokens run through the vocabulary in steps of 7.
Tensor step_of(std::int32_t tokens) {
  const StepCapacity capacity{tokens, 1, 1, 64};
  Tensor block = make_tensor(
      {DType::I8, Layout::rows, {1, static_cast<std::int64_t>(step_state_bytes(capacity))}});
  StepState& step = format_step_state(block.view.data, capacity);
  step.token_count = tokens;
  for (std::int32_t t = 0; t < tokens; ++t)
    step.tokens()[t] = (t * 7 + 3) % static_cast<std::int32_t>(kVocabulary);
  return block;
}

TEST(Embed, RowsAreTheTokensOfEveryDtype) {
  for (DType dtype : weight_dtypes()) {
    const std::int64_t dim = dtype_info(dtype).block_elements == 256 ? 512 : 96;
    const Tensor table = tensor_of({dtype, Layout::rows, {kVocabulary, dim}},
                                   random_weights(dtype, kVocabulary, dim, 51).data());
    for (std::int32_t tokens : {1, 2, 17, 130}) {
      const Tensor step = step_of(tokens);
      for (const std::string& isa : runnable_isas()) {
        const Tensor out = make_tensor({DType::F32, Layout::rows, {tokens, dim}}, std::byte{0xff});
        run_op(cpu_device(isa, 3), Embed{}, {table.view, step.view}, {out.view});
        for (std::int32_t t = 0; t < tokens; ++t) {
          const std::byte* row = table.view.row((t * 7 + 3) % kVocabulary);
          for (std::int64_t c = 0; c < dim; ++c) {
            const auto want = reference::element(dtype, row, c);
            // Three roundings: the scale, the product, the minimum.
            ASSERT_NEAR(reinterpret_cast<const float*>(out.view.row(t))[c], want.value,
                        3 * 0x1p-24 * want.magnitude * 1.001)
                << isa << " " << dtype_info(dtype).name << " token " << t << " column " << c;
          }
        }
      }
    }
  }
}

// A decoded token needs one row, which no other thread is worth waking for.
TEST(Embed, OneRowLeavesThePoolAsleep) {
  const std::int64_t dim = 1 << 16;
  const Tensor table = make_tensor({DType::F32, Layout::rows, {kVocabulary, dim}});
  const Tensor step = step_of(1);
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
