#include "backends/cpu/ops/common.h"

namespace strata::cpu {
namespace {

bool supports(const OpDesc& op, const DeviceInfo&) {
  return is_f32_rows(op.in[0]) && is_f32_rows(op.in[1]) && is_f32_rows(op.out[0]) &&
         std::get<MoeCombine>(op.attributes).used >= 1;
}

void run(Stream& stream, const PreparedOp& op, const Operands& operands, Workspace) {
  CpuStream& s = cpu_stream(stream);
  const std::int64_t used = std::get<MoeCombine>(op.desc.attributes).used;
  const TensorView& y = operands.in[0];
  const TensorView& out = operands.out[0];
  each_tile(s, out.rows(), out.columns(), [&](std::int64_t t, std::int64_t first, std::int64_t n) {
    s.kernels().weighted_sum(y.row(t * used) + first * static_cast<std::int64_t>(sizeof(float)),
                             y.row_stride, f32_row(operands.in[1], t), used,
                             f32_row(out, t) + first, n);
  });
}

PreparedOp prepare(Device& device, const OpDesc& op) { return prepared(device, op, run); }

}  // namespace

const OpImpl moe_combine_impl{supports, prepare};

}  // namespace strata::cpu
