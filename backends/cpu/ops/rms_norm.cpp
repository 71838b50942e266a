#include "backends/cpu/ops/activation.h"

namespace strata::cpu {
namespace {

bool supports(const OpDesc& op, const DeviceInfo&) {
  const std::int64_t n = op.in[1].shape.elements();
  return is_f32_rows(op.in[0]) && is_f32_rows(op.in[1]) && is_activation(op.out[0]) && n > 0 &&
         op.in[0].shape.columns() % n == 0;
}

void run(Stream& stream, const PreparedOp& op, const Operands& operands, Workspace workspace) {
  CpuStream& s = cpu_stream(stream);
  const TensorView& x = operands.in[0];
  const TensorView& w = operands.in[1];
  const float eps = std::get<RmsNorm>(op.desc.attributes).eps;
  const std::int64_t n = w.shape.elements();
  const std::int64_t groups = x.columns() / n;
  each_row(s, operands.out[0], workspace, [&](std::int64_t row, float* to) {
    s.kernels().rms_norm(f32_row(x, row), w.as<float>(), to, groups, n, eps);
  });
}

PreparedOp prepare(Device& device, const OpDesc& op) {
  return prepared(device, op, run, row_scratch_bytes(device, op.out[0]));
}

}  // namespace

const OpImpl rms_norm_impl{supports, prepare};

}  // namespace strata::cpu
