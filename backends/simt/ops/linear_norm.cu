#include "backends/simt/matmul/matmul.h"

namespace strata::STRATA_SIMT {
namespace {

bool supports(const OpDesc& op, const DeviceInfo&) {
  return linear_supports(op) && is_f32_rows(op.in[4]) &&
         op.in[4].shape.elements() == op.out[0].shape.columns() && is_activation(op.out[1]) &&
         op.out[1].shape == op.out[0].shape;
}

void run(Stream& stream, const PreparedOp& op, const Operands& operands, Workspace workspace) {
  MatmulJob job = matmul_job(op, operands.in[0]);
  add_matrix(job, operands.in[1], operands.out[0], operands.in[2], operands.in[3]);
  job.normed = {norm_rows_of(operands.out[0], operands.in[4], operands.out[1],
                             std::get<LinearNorm>(op.desc.attributes).eps),
                tickets_of(stream)};
  run_job(stream, op, job, workspace);
}

PreparedOp prepare(Device& device, const OpDesc& op) { return prepare_matmul(device, op, run); }

}  // namespace

const OpImpl linear_norm_impl{supports, prepare};

}  // namespace strata::STRATA_SIMT
