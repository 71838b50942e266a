#include "backends/simt/matmul/matmul.h"

namespace strata::STRATA_SIMT {
namespace {

bool supports(const OpDesc& op, const DeviceInfo&) { return linear_supports(op); }

void run(Stream& stream, const PreparedOp& op, const Operands& operands, Workspace workspace) {
  MatmulJob job = matmul_job(op, operands.in[0]);
  add_matrix(job, operands.in[1], operands.out[0], operands.in[2], operands.in[3]);
  run_job(stream, op, job, workspace);
}

PreparedOp prepare(Device& device, const OpDesc& op) { return prepare_matmul(device, op, run); }

}  // namespace

const OpImpl linear_impl{supports, prepare};

}  // namespace strata::STRATA_SIMT
