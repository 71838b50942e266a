#include "backends/vulkan/ops/heads.h"

namespace strata::vulkan {
namespace {

bool supports(const OpDesc& op, const DeviceInfo&) {
  return can_turn(std::get<Rope>(op.attributes), op.in[0], op.in[1]) && is_f32_rows(op.out[0]);
}

void run(Stream& stream, const PreparedOp& op, const Operands& operands, Workspace) {
  const TensorView& x = operands.in[0];
  const TensorView& out = operands.out[0];
  HeadsPush push;
  push.q = address(x);
  push.inv_freq = address(operands.in[1]);
  push.step = address(operands.in[2]);
  push.out = address(out);
  push.tokens = size32(x.rows());
  push.q_stride = stride_bytes(x);
  push.out_stride = stride_bytes(out);
  push.magnitude = std::get<Rope>(op.desc.attributes).magnitude;
  run_heads(stream, op, push);
}

PreparedOp prepare(Device& device, const OpDesc& op) {
  HeadsShape shape;
  shape.rope = std::get<Rope>(op.attributes);
  shape.heads = size32(op.in[0].shape.columns() / shape.rope.head_dim);
  return prepare_heads(device, op, run, shape, op.in[0].shape.rows());
}

}  // namespace

const OpImpl rope_impl{supports, prepare};

}  // namespace strata::vulkan
