#include "backends/cpu/ops/matmul.h"

namespace strata::cpu {
namespace {

void run_rows(const Kernels& kernels, const Matmul& matmul, Share rows, std::byte* scratch) {
  if (rows.begin >= rows.end || matmul.task.rows == 0) return;
  switch (matmul.path) {
    case MatmulPath::f32:
      return kernels.linear_f32(matmul.task, rows.begin, rows.end, scratch);
    case MatmulPath::bf16:
      return kernels.linear_bf16(matmul.task, rows.begin, rows.end, scratch);
    case MatmulPath::int8:
      return kernels.linear_int8(matmul.task, rows.begin, rows.end, scratch);
  }
}

}  // namespace

void run_matmuls(CpuStream& stream, std::span<const Matmul> matmuls, std::int64_t,
                 Workspace workspace) {
  stream.pool().run([&](int thread, int threads) {
    const std::size_t each = workspace.size() / static_cast<std::size_t>(threads);
    std::byte* scratch = workspace.data() + each * static_cast<std::size_t>(thread);
    for (const Matmul& matmul : matmuls)
      run_rows(stream.kernels(), matmul, share_of(matmul.task.n, kPanelRows, thread, threads),
               scratch);
  });
}

}  // namespace strata::cpu
