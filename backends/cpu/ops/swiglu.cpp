#include "backends/cpu/ops/activation.h"

namespace strata::cpu {
namespace {

bool supports(const OpDesc& op, const DeviceInfo&) {
  return is_f32_rows(op.in[0]) && is_f32_rows(op.in[1]) && is_activation(op.out[0]);
}

void run(Stream& stream, const PreparedOp&, const Operands& operands, Workspace workspace) {
  CpuStream& s = cpu_stream(stream);
  const TensorView& gate = operands.in[0];
  const TensorView& up = operands.in[1];
  each_row(s, operands.out[0], workspace, [&](std::int64_t row, float* to) {
    s.kernels().swiglu(f32_row(gate, row), f32_row(up, row), to, gate.columns());
  });
}

PreparedOp prepare(Device& device, const OpDesc& op) {
  return prepared(device, op, run, row_scratch_bytes(device, op.out[0]));
}

}  // namespace

const OpImpl swiglu_impl{supports, prepare};

}  // namespace strata::cpu
