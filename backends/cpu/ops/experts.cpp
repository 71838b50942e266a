#include "backends/cpu/ops/experts.h"

#include <memory>

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

}  // namespace

std::size_t experts_table_bytes(const TensorDesc& w) { return table_bytes(w.shape[0]); }

void run_experts(CpuStream& stream, const ExpertsTask& experts, Workspace workspace) {
  const TensorView& w = experts.w;
  const auto* offsets = experts.offsets.as<const std::int32_t>();
  const auto* order = experts.order.as<const std::int32_t>();
  Matmul matmul{matmul_task(experts.x, w, experts.out), experts.path};
  matmul.task.n = w.shape[1];
  matmul.task.routes_per_x = experts.shared_input ? experts.used : 1;
  auto* table = reinterpret_cast<Matmul*>(workspace.data());
  std::size_t active = 0;
  for (std::int64_t e = 0; e < w.shape[0]; ++e) {
    if (offsets[e] == offsets[e + 1]) continue;
    const std::size_t at = static_cast<std::size_t>(e) * expert_bytes(w);
    matmul.task.w = w.data + at;
    matmul.task.w_up = experts.w_up == nullptr ? nullptr : experts.w_up + at;
    matmul.task.rows = offsets[e + 1] - offsets[e];
    matmul.task.routes = order + offsets[e];
    std::construct_at(table + active++, matmul);
  }
  run_matmuls(stream, {table, active}, experts.out.rows() / experts.used,
              workspace.subspan(table_bytes(w.shape[0])));
}

}  // namespace strata::cpu
