#include "backends/cpu/ops/experts.h"
#include "backends/cpu/ops/impls.h"

namespace strata::cpu {
namespace {

void run(Stream& stream, const PreparedOp& op, const Operands& operands, Workspace workspace) {
  const auto& attributes = std::get<LinearExpertsGated>(op.desc.attributes);
  run_experts(static_cast<CpuStream&>(stream),
              {operands.in[0], operands.in[1], operands.in[2].data, operands.in[3], operands.in[4],
               operands.out[0], matmul_path(op.desc.in[0].layout), attributes.used,
               attributes.shared_input},
              workspace);
}

bool supports(const OpDesc& op, const DeviceInfo&) {
  return matmul_supports(op) && op.in[1] == op.in[2];
}

PreparedOp prepare(Device& device, const OpDesc& op) {
  PreparedOp prepared = prepare_matmul(device, op, run);
  prepared.wanted[2] = prepared.wanted[1];
  prepared.workspace_bytes += experts_table_bytes(op.in[1]);
  return prepared;
}

}  // namespace

const OpImpl linear_experts_gated_impl{supports, prepare};

}  // namespace strata::cpu
