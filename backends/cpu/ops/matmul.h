#pragma once

#include <cstdint>
#include <span>

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

/// Workspace for run_matmuls when its matmuls read `x` and weights such as `w`; of several, the
/// largest is wanted.
std::size_t matmul_workspace_bytes(Device& device, const TensorDesc& x, const TensorDesc& w);

/// The task out = x * w^T, without bias, residual, gate and routes.
LinearTask matmul_task(const TensorView& x, const TensorView& w, const TensorView& out);

/// A matmul of a region.
struct Matmul {
  LinearTask task;
  MatmulPath path;
};

/// Computes all `matmuls` in one parallel region: they read nothing that another of them writes.
/// The rows of every w are divided over the threads in the same way at each call, by bytes of
/// weights; who is done early helps the others, which the results do not show. `tokens` of the step
/// decides how many threads take part. Allocates nothing.
void run_matmuls(CpuStream& stream, std::span<const Matmul> matmuls, std::int64_t tokens,
                 Workspace workspace);

}  // namespace strata::cpu
