#include "backends/cpu/ops/common.h"

namespace strata::cpu {
namespace {

bool supports(const OpDesc& op, const DeviceInfo&) {
  const std::int64_t n = op.in[1].shape.elements();
  return is_f32_rows(op.in[0]) && is_f32_rows(op.in[1]) && is_f32_rows(op.out[0]) && n > 0 &&
         op.in[0].shape.columns() % n == 0;
}

void run(Stream& stream, const PreparedOp& op, const Operands& operands, Workspace) {
  CpuStream& s = cpu_stream(stream);
  const TensorView& x = operands.in[0];
  const TensorView& w = operands.in[1];
  const TensorView& out = operands.out[0];
  const float eps = std::get<RmsNorm>(op.desc.attributes).eps;
  const std::int64_t n = w.shape.elements();
  const std::int64_t groups = x.columns() / n;
  each_share(s, x.rows(), x.rows() * x.columns(), [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t row = begin; row < end; ++row)
      s.kernels().rms_norm(f32_row(x, row), w.as<float>(), f32_row(out, row), groups, n, eps);
  });
}

PreparedOp prepare(Device& device, const OpDesc& op) { return prepared(device, op, run); }

}  // namespace

const OpImpl rms_norm_impl{supports, prepare};

}  // namespace strata::cpu
