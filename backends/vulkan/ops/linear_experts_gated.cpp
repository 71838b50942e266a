#include "backends/vulkan/ops/experts.h"

namespace strata::vulkan {
namespace {

void run(Stream& stream, const PreparedOp& op, const Operands& operands, Workspace workspace) {
  const auto& attributes = std::get<LinearExpertsGated>(op.desc.attributes);
  run_experts(stream, op,
              {operands.in[0], operands.in[1], &operands.in[2], operands.in[3], operands.in[4],
               operands.out[0], attributes.used, attributes.shared_input},
              workspace);
}

bool supports(const OpDesc& op, const DeviceInfo&) {
  return experts_support(op) && op.in[1] == op.in[2] && is_i32_rows(op.in[3]) &&
         is_i32_rows(op.in[4]);
}

PreparedOp prepare(Device& device, const OpDesc& op) {
  return prepare_experts(device, op, run, std::get<LinearExpertsGated>(op.attributes).used, true);
}

}  // namespace

const OpImpl linear_experts_gated_impl{supports, prepare};

}  // namespace strata::vulkan
