#include <memory>

#include "backends/cpu/ops/impls.h"
#include "backends/cpu/ops/matmul.h"

namespace strata::cpu {
namespace {

// Bytes of one expert's matrix (n, k); panels are padded to whole panels per expert.
std::size_t expert_bytes(const TensorView& w) {
  return byte_size({w.dtype, w.layout, {w.shape[1], w.shape[2]}});
}

// The workspace begins with room for one Matmul per expert.
constexpr std::size_t kAlign = 64;
std::size_t table_bytes(std::int64_t experts) {
  return (static_cast<std::size_t>(experts) * sizeof(Matmul) + kAlign - 1) / kAlign * kAlign;
}

// One region for all experts that have routes: each one's weights are read once per batch.
void run(Stream& stream, const PreparedOp& op, const Operands& operands, Workspace workspace) {
  const auto& attributes = std::get<LinearExperts>(op.desc.attributes);
  const TensorView& w = operands.in[1];
  const auto* offsets = operands.in[2].as<const std::int32_t>();
  const auto* order = operands.in[3].as<const std::int32_t>();
  const std::int64_t experts = w.shape[0];
  Matmul matmul{matmul_task(operands.in[0], w, operands.out[0]), matmul_path(op.desc.in[0].layout)};
  matmul.task.n = w.shape[1];
  matmul.task.routes_per_x = attributes.shared_input ? attributes.used : 1;
  auto* table = reinterpret_cast<Matmul*>(workspace.data());
  std::size_t active = 0;
  for (std::int64_t e = 0; e < experts; ++e) {
    if (offsets[e] == offsets[e + 1]) continue;
    matmul.task.w = w.data + static_cast<std::size_t>(e) * expert_bytes(w);
    matmul.task.rows = offsets[e + 1] - offsets[e];
    matmul.task.routes = order + offsets[e];
    std::construct_at(table + active++, matmul);
  }
  run_matmuls(static_cast<CpuStream&>(stream), {table, active},
              operands.out[0].rows() / attributes.used, workspace.subspan(table_bytes(experts)));
}

bool supports(const OpDesc& op, const DeviceInfo&) { return matmul_supports(op); }

PreparedOp prepare(Device& device, const OpDesc& op) {
  PreparedOp prepared = prepare_matmul(device, op, run);
  prepared.workspace_bytes += table_bytes(op.in[1].shape[0]);
  return prepared;
}

}  // namespace

const OpImpl linear_experts_impl{supports, prepare};

}  // namespace strata::cpu
