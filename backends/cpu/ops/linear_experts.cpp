#include "backends/cpu/ops/impls.h"
#include "backends/cpu/ops/matmul.h"

namespace strata::cpu {
namespace {

// Bytes of one expert's matrix (n, k); panels are padded to whole panels per expert.
std::size_t expert_bytes(const TensorView& w) {
  return byte_size({w.dtype, w.layout, {w.shape[1], w.shape[2]}});
}

void run(Stream& stream, const PreparedOp& op, const Operands& operands, Workspace workspace) {
  auto& cpu = static_cast<CpuStream&>(stream);
  const auto& attributes = std::get<LinearExperts>(op.desc.attributes);
  const TensorView& w = operands.in[1];
  const auto* offsets = operands.in[2].as<const std::int32_t>();
  const auto* order = operands.in[3].as<const std::int32_t>();
  const std::int64_t n = w.shape[1];
  const std::size_t stride = expert_bytes(w);
  const MatmulPath path = matmul_path(op.desc.in[0].layout);
  // One fork for all experts: each thread does its rows of every expert that has routes.
  cpu.pool().run([&](int thread, int threads) {
    const Share share = share_of(n, kPanelRows, thread, threads);
    for (std::int64_t e = 0; e < w.shape[0]; ++e) {
      LinearTask task = matmul_task(operands, w.data + static_cast<std::size_t>(e) * stride, n);
      task.rows = offsets[e + 1] - offsets[e];
      task.routes = order + offsets[e];
      task.routes_per_x = attributes.shared_input ? attributes.used : 1;
      run_matmul_share(cpu, task, path, share, workspace, thread, threads);
    }
  });
}

bool supports(const OpDesc& op, const DeviceInfo&) { return matmul_supports(op); }

PreparedOp prepare(Device& device, const OpDesc& op) { return prepare_matmul(device, op, run); }

}  // namespace

const OpImpl linear_experts_impl{supports, prepare};

}  // namespace strata::cpu
