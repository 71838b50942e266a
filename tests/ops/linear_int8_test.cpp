// What the integer kernel does beside the product: gated pairs, residuals, routes, and rows that
// end within a panel. Against its own plain products, which linear_test.cpp checks.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>

#include "tests/ops/cpu_devices.h"
#include "tests/parity/weight_ops.h"

namespace strata::test::weights {
namespace {

constexpr std::int64_t kN = 41;
constexpr std::int64_t kK = 768;

struct Case {
  Tensor x, gate, up;
  std::vector<float> residual;
};

Case case_of(cpu::CpuDevice& device, DType dtype, std::int64_t rows, bool panels) {
  const Tensor x =
      tensor_of({DType::F32, Layout::rows, {rows, kK}}, random_floats(rows * kK, 1).data());
  const auto weights = [&](std::uint64_t seed) {
    Tensor w =
        tensor_of({dtype, Layout::rows, {kN, kK}}, random_weights(dtype, kN, kK, seed).data());
    if (panels) return packed(device, w);
    return w;
  };
  return {quantized(device, x), weights(2), weights(3), random_floats(rows * kN, 4)};
}

cpu::LinearTask task_of(const Tensor& x, const Tensor& w, std::vector<float>& out) {
  cpu::LinearTask task{};
  task.x = x.view.data;
  task.x_stride = x.view.row_stride;
  task.w = w.view.data;
  task.w_stride = w.view.row_stride;
  task.w_dtype = w.view.dtype;
  task.w_panels = w.view.layout == Layout::panels16;
  task.n = kN;
  task.k = kK;
  task.rows = x.view.rows();
  out.assign(static_cast<std::size_t>(task.rows * kN), NAN);
  task.out = out.data();
  task.out_stride = kN * 4;
  return task;
}

// In two pieces, of which the first ends within a panel that the second begins with.
void run(cpu::CpuDevice& device, const cpu::LinearTask& task) {
  const Tensor scratch = make_tensor({DType::I8, Layout::rows, {1 << 20}}, std::byte{0xa5});
  device.kernels().linear_int8(task, 0, 32, scratch.view.data);
  device.kernels().linear_int8(task, 32, kN, scratch.view.data);
}

std::vector<float> product(cpu::CpuDevice& device, const Tensor& x, const Tensor& w) {
  std::vector<float> out;
  run(device, task_of(x, w, out));
  return out;
}

void check(cpu::CpuDevice& device, DType dtype, std::int64_t rows, bool panels) {
  Case c = case_of(device, dtype, rows, panels);
  const auto gate = product(device, c.x, c.gate);
  const auto up = product(device, c.x, c.up);
  std::vector<float> gated;
  cpu::LinearTask task = task_of(c.x, c.gate, gated);
  task.w_up = c.up.view.data;
  run(device, task);
  // The residual is the output itself.
  std::vector<float> added;
  task = task_of(c.x, c.gate, added);
  added = c.residual;
  task.residual = reinterpret_cast<const std::byte*>(added.data());
  task.residual_stride = task.out_stride;
  run(device, task);
  // Backwards: token i of the task is row rows - 1 - i of x and of out.
  std::vector<std::int32_t> routes;
  for (std::int64_t r = rows; r > 0; --r) routes.push_back(static_cast<std::int32_t>(r - 1));
  std::vector<float> routed;
  task = task_of(c.x, c.gate, routed);
  task.routes = routes.data();
  task.routes_per_x = 1;
  run(device, task);
  EXPECT_EQ(std::memcmp(routed.data(), gate.data(), gate.size() * sizeof(float)), 0);
  for (std::size_t i = 0; i < gate.size(); ++i) {
    ASSERT_EQ(added[i], gate[i] + c.residual[i]) << i;
    const double want = gate[i] / (1 + std::exp(-double{gate[i]})) * up[i];
    // exp within 2 ulp, and four operations; infinite from 2^128 on.
    const double lost = 0x1p-127 * std::abs(double{gate[i]} * up[i]);
    ASSERT_NEAR(gated[i], want, 8 * 0x1p-24 * std::abs(want) + lost) << i;
  }
}

TEST(LinearInt8, GatesAddsAndRoutesAtAnyBatch) {
  for (const std::string& isa : runnable_isas()) {
    for (DType dtype : weight_dtypes()) {
      if (!has_int8_path(dtype)) continue;
      for (std::int64_t rows : {1, 3, 17}) {
        for (bool panels : {false, true}) {
          SCOPED_TRACE(isa + " " + std::string(dtype_info(dtype).name) + " rows " +
                       std::to_string(rows) + (panels ? " panels" : ""));
          check(cpu_device(isa, 1), dtype, rows, panels);
          if (HasFatalFailure()) return;
        }
      }
    }
  }
}

// More tokens than one pass takes: the bits of each on its own.
TEST(LinearInt8, ManyTokensGiveTheBitsOfOne) {
  const std::int64_t rows = cpu::kInt8Tokens + 14;
  for (const std::string& isa : runnable_isas()) {
    cpu::CpuDevice& device = cpu_device(isa, 1);
    for (DType dtype : weight_dtypes()) {
      if (!has_int8_path(dtype)) continue;
      const Case c = case_of(device, dtype, rows, true);
      const auto all = product(device, c.x, c.gate);
      for (std::int64_t r :
           {std::int64_t{0}, std::int64_t{4}, cpu::kInt8Tokens - 1, cpu::kInt8Tokens, rows - 1}) {
        const Tensor one = tensor_of({DType::I8, Layout::quantized, {1, kK}}, c.x.view.row(r));
        const auto want = product(device, one, c.gate);
        EXPECT_EQ(std::memcmp(want.data(), &all[static_cast<std::size_t>(r * kN)],
                              want.size() * sizeof(float)),
                  0)
            << isa << " " << dtype_info(dtype).name << " row " << r;
      }
    }
  }
}

}  // namespace
}  // namespace strata::test::weights
