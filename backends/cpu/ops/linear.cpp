#include "backends/cpu/ops/impls.h"
#include "backends/cpu/ops/matmul.h"

namespace strata::cpu {
namespace {

void run(Stream& stream, const PreparedOp& op, const Operands& operands, Workspace workspace) {
  auto& cpu = static_cast<CpuStream&>(stream);
  const TensorView& w = operands.in[1];
  LinearTask task = matmul_task(operands, w.data, w.rows());
  task.bias = operands.in[2].as<const float>();
  const MatmulPath path = matmul_path(op.desc.in[0].layout);
  cpu.pool().run([&](int thread, int threads) {
    const Share share = share_of(task.n, kPanelRows, thread, threads);
    run_matmul_share(cpu, task, path, share, workspace, thread, threads);
  });
}

bool supports(const OpDesc& op, const DeviceInfo&) {
  const TensorDesc& bias = op.in[2];
  return matmul_supports(op) && (bias.shape.rank == 0 || bias.dtype == DType::F32);
}

PreparedOp prepare(Device& device, const OpDesc& op) { return prepare_matmul(device, op, run); }

}  // namespace

const OpImpl linear_impl{supports, prepare};

}  // namespace strata::cpu
