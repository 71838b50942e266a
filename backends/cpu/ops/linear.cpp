#include "backends/cpu/ops/impls.h"
#include "backends/cpu/ops/matmul.h"

namespace strata::cpu {
namespace {

void run(Stream& stream, const PreparedOp& op, const Operands& operands, Workspace workspace) {
  Matmul matmul{matmul_task(operands.in[0], operands.in[1], operands.out[0]),
                matmul_path(op.desc.in[0].layout)};
  matmul.task.bias = operands.in[2].as<const float>();
  matmul.task.residual = operands.in[3].data;
  matmul.task.residual_stride = operands.in[3].row_stride;
  run_matmuls(static_cast<CpuStream&>(stream), {&matmul, 1}, matmul.task.rows, workspace);
}

bool supports(const OpDesc& op, const DeviceInfo&) {
  for (const TensorDesc& added : {op.in[2], op.in[3]})
    if (added.shape.rank > 0 && (added.dtype != DType::F32 || added.layout != Layout::rows))
      return false;
  return matmul_supports(op);
}

PreparedOp prepare(Device& device, const OpDesc& op) { return prepare_matmul(device, op, run); }

}  // namespace

const OpImpl linear_impl{supports, prepare};

}  // namespace strata::cpu
