#include "backends/cpu/ops/common.h"

namespace strata::cpu {
namespace {

bool supports(const OpDesc& op, const DeviceInfo&) {
  return is_f32_rows(op.in[0]) && is_f32_rows(op.in[1]) && is_f32_rows(op.out[0]);
}

void run(Stream& stream, const PreparedOp&, const Operands& operands, Workspace) {
  CpuStream& s = cpu_stream(stream);
  const TensorView& a = operands.in[0];
  const TensorView& b = operands.in[1];
  const TensorView& out = operands.out[0];
  each_tile(s, a.rows(), a.columns(), [&](std::int64_t row, std::int64_t first, std::int64_t n) {
    s.kernels().add_rows(f32_row(a, row) + first, f32_row(b, row) + first,
                         f32_row(out, row) + first, n);
  });
}

PreparedOp prepare(Device& device, const OpDesc& op) { return prepared(device, op, run); }

}  // namespace

const OpImpl add_impl{supports, prepare};

}  // namespace strata::cpu
