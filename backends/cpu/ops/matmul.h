#pragma once

#include <cstdint>

#include "backends/cpu/cpu_device.h"
#include "runtime/ops/op_impl.h"

namespace strata::cpu {

/// What linear and linear_experts share: in[0] is x, in[1] is w, out[0] the result.

/// Any dtype that can hold weights.
bool is_weight_dtype(DType dtype);

/// How the layout of x says that it is multiplied.
enum class MatmulPath : std::uint8_t {
  f32,   ///< x f32, w any dtype in the file's rows: dequantized, f32 FMA
  bf16,  ///< x rounded, w BF16 in the file's rows: products of bf16, sums in f32
  int8,  ///< x quantized, w blocks in panels (or rows, packed panel by panel): integer products
};
MatmulPath matmul_path(Layout x);

/// The path that weights of a dtype take: one arithmetic per dtype, whatever the batch.
MatmulPath preferred_path(DType weight);

bool matmul_supports(const OpDesc& op);

/// Kernel, workspace and wishes, for `run` as the op's run function.
PreparedOp prepare_matmul(Device& device, const OpDesc& op, OpRun run);

/// The task of w's matrix at `w` (n, k), without bias, residual and routes.
LinearTask matmul_task(const Operands& operands, const std::byte* w, std::int64_t n);

/// Computes rows share [begin, end) of w on thread `thread` of `threads`.
void run_matmul_share(CpuStream& stream, const LinearTask& task, MatmulPath path, Share share,
                      Workspace workspace, int thread, int threads);

}  // namespace strata::cpu
