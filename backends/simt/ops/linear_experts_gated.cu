#include "backends/simt/matmul/matmul.h"

namespace strata::STRATA_SIMT {
namespace {

bool supports(const OpDesc& op, const DeviceInfo&) { return gated_supports(op); }

void run(Stream& stream, const PreparedOp& op, const Operands& operands, Workspace workspace) {
  const auto& attributes = std::get<LinearExpertsGated>(op.desc.attributes);
  MatmulJob job = matmul_job(op, operands.in[0]);
  add_gated(stream, job, operands.in[1], operands.in[2], operands.out[0], workspace);
  set_routes(job, operands.in[3], operands.in[4], attributes.used, attributes.shared_input);
  run_job(stream, op, job, workspace);
}

PreparedOp prepare(Device& device, const OpDesc& op) { return prepare_matmul(device, op, run); }

}  // namespace

const OpImpl linear_experts_gated_impl{supports, prepare};

}  // namespace strata::STRATA_SIMT
