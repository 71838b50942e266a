#include "backends/cpu/ops/impls.h"
#include "backends/cpu/ops/matmul.h"

namespace strata::cpu {
namespace {

// Both matrices in one region; a thread that has a row's two products makes the result at once.
void run(Stream& stream, const PreparedOp& op, const Operands& operands, Workspace workspace) {
  Matmul matmul{matmul_task(operands.in[0], operands.in[1], operands.out[0]),
                matmul_path(op.desc.in[0].layout)};
  matmul.task.w_up = operands.in[2].data;
  run_matmuls(static_cast<CpuStream&>(stream), {&matmul, 1}, matmul.task.rows, workspace);
}

bool supports(const OpDesc& op, const DeviceInfo&) {
  return matmul_supports(op) && op.in[1] == op.in[2];
}

PreparedOp prepare(Device& device, const OpDesc& op) {
  PreparedOp prepared = prepare_matmul(device, op, run);
  prepared.wanted[2] = prepared.wanted[1];
  return prepared;
}

}  // namespace

const OpImpl linear_gated_impl{supports, prepare};

}  // namespace strata::cpu
