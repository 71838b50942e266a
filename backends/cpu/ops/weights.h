#pragma once

#include "backends/cpu/cpu_device.h"
#include "runtime/ops/op_impl.h"

namespace strata::cpu {

/// What linear and linear_experts share: in[0] is x, in[1] is w, out[0] the result.

/// Any dtype that can hold weights.
bool is_weight_dtype(DType dtype);

/// Q8_0 and Q4_0: multiplied as integers with quantized activations, packed or not.
bool has_int8_path(DType dtype);

bool matmul_supports(const OpDesc& op);

/// Kernel, workspace and wishes, for `run` as the op's run function.
PreparedOp prepare_matmul(Device& device, const OpDesc& op, OpRun run);

/// The task of w's matrix at `w` (n, k), without bias and routes.
LinearTask matmul_task(const Operands& operands, const std::byte* w, std::int64_t n);

/// Computes rows share [begin, end) of w on thread `thread` of `threads`.
void run_matmul_share(CpuStream& stream, const LinearTask& task, bool int8, Share share,
                      Workspace workspace, int thread, int threads);

}  // namespace strata::cpu
