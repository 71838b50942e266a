// How the rows of several matrices are divided over threads cannot be seen in the results.
#include <gtest/gtest.h>

#include <cstring>

#include "backends/cpu/ops/matmul.h"
#include "tests/ops/cpu_devices.h"
#include "tests/parity/weight_ops.h"

namespace strata::test::weights {
namespace {

constexpr std::int64_t kK = 256;

// A region's matrices: shapes of all sizes, or many of one shape as experts are.
struct Matrices {
  std::vector<Tensor> w;
  std::vector<Tensor> out;
  std::vector<cpu::Matmul> matmuls;
};

Matrices matrices_of(const std::vector<std::int64_t>& rows, DType dtype, const TensorView& x) {
  Matrices made;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const TensorDesc desc{dtype, Layout::rows, {rows[i], kK}};
    made.w.push_back(tensor_of(desc, random_weights(dtype, rows[i], kK, 50 + i).data()));
    made.out.push_back(
        make_tensor({DType::F32, Layout::rows, {x.rows(), rows[i]}}, std::byte{255}));
  }
  for (std::size_t i = 0; i < rows.size(); ++i)
    made.matmuls.push_back(
        {cpu::matmul_task(x, made.w[i].view, made.out[i].view), cpu::matmul_path(x.layout)});
  return made;
}

std::vector<std::vector<float>> run(cpu::CpuDevice& device, const std::vector<std::int64_t>& rows,
                                    DType dtype, const TensorView& x) {
  const Matrices made = matrices_of(rows, dtype, x);
  const TensorDesc w{dtype, Layout::rows, {1, kK}};
  const std::size_t bytes =
      cpu::matmul_workspace_bytes(device, {x.dtype, x.layout, {x.rows(), kK}}, w);
  const Tensor workspace =
      make_tensor({DType::I8, Layout::rows, {1, static_cast<std::int64_t>(bytes) + 1}});
  const auto stream = device.open_stream(StreamRole::compute);
  cpu::run_matmuls(static_cast<cpu::CpuStream&>(*stream), made.matmuls, x.rows(),
                   {workspace.view.data, bytes});
  std::vector<std::vector<float>> results;
  for (const Tensor& out : made.out) results.push_back(floats_of(out.view));
  return results;
}

TEST(MatmulThreads, GiveTheSameBitsWhoeverComputes) {
  const std::vector<std::int64_t> shapes[] = {
      {5000, 1, 1000, 33, 16}, {1}, {15000}, std::vector<std::int64_t>(40, 100)};
  for (const std::int64_t tokens : {1, 3}) {
    const Tensor floats =
        tensor_of({DType::F32, Layout::rows, {tokens, kK}}, random_floats(tokens * kK, 60).data());
    for (const DType dtype : {DType::Q8_0, DType::F32}) {
      for (const auto& rows : shapes) {
        cpu::CpuDevice& one = cpu_device(runnable_isas().front(), 1);
        const Tensor x = dtype == DType::F32
                             ? tensor_of({DType::F32, Layout::rows, {tokens, kK}}, floats.view.data)
                             : quantized(one, floats);
        const auto want = run(one, rows, dtype, x.view);
        for (const int threads : {2, 3, 7, 64}) {
          cpu::CpuDevice& device = cpu_device(runnable_isas().front(), threads);
          const auto got = run(device, rows, dtype, x.view);
          for (std::size_t i = 0; i < rows.size(); ++i)
            EXPECT_EQ(std::memcmp(got[i].data(), want[i].data(), want[i].size() * sizeof(float)), 0)
                << dtype_info(dtype).name << ", " << tokens << " tokens, " << threads
                << " threads, matrix " << i << " of " << rows[i] << " rows";
        }
      }
    }
  }
}

TEST(MatmulThreads, NoMatrixIsNoWork) {
  cpu::CpuDevice& device = cpu_device(runnable_isas().front(), 2);
  const auto stream = device.open_stream(StreamRole::compute);
  cpu::run_matmuls(static_cast<cpu::CpuStream&>(*stream), {}, 1, {});
}

}  // namespace
}  // namespace strata::test::weights
