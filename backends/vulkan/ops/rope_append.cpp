#include "backends/vulkan/ops/heads.h"

namespace strata::vulkan {
namespace {

bool is_norm(const TensorDesc& norm, std::int32_t head_dim) {
  return norm.shape.rank == 0 || (is_f32_rows(norm) && norm.shape.elements() == head_dim);
}

bool supports(const OpDesc& op, const DeviceInfo&) {
  const RopeAppend& append = std::get<RopeAppend>(op.attributes);
  const std::int32_t head_dim = append.rope.head_dim;
  return can_turn(append.rope, op.in[0], op.in[5]) && is_f32_rows(op.in[1]) &&
         is_f32_rows(op.in[2]) && is_f32_rows(op.out[0]) && is_norm(op.in[3], head_dim) &&
         is_norm(op.in[4], head_dim) && is_cache(op.inout[0], append.kv_heads, head_dim) &&
         is_cache(op.inout[1], append.kv_heads, head_dim) &&
         op.inout[0].shape[2] == op.inout[1].shape[2];
}

void run(Stream& stream, const PreparedOp& op, const Operands& operands, Workspace) {
  const RopeAppend& append = std::get<RopeAppend>(op.desc.attributes);
  const TensorView& q = operands.in[0];
  const TensorView& k = operands.in[1];
  const TensorView& v = operands.in[2];
  const TensorView& out = operands.out[0];
  const HeadsPush push{address(q),
                       address(k),
                       address(v),
                       address(operands.in[3]),
                       address(operands.in[4]),
                       address(operands.in[5]),
                       address(operands.in[6]),
                       address(operands.inout[0]),
                       address(operands.inout[1]),
                       address(out),
                       size32(q.rows()),
                       stride_bytes(q),
                       stride_bytes(k),
                       stride_bytes(v),
                       stride_bytes(out),
                       stride_bytes(operands.inout[0]),
                       stride_bytes(operands.inout[1]),
                       0,
                       1,
                       append.eps,
                       append.rope.magnitude};
  run_heads(stream, op, push);
}

PreparedOp prepare(Device& device, const OpDesc& op) {
  const RopeAppend& append = std::get<RopeAppend>(op.attributes);
  HeadsShape shape;
  shape.rope = append.rope;
  shape.heads = size32(op.in[0].shape.columns() / append.rope.head_dim);
  shape.kv_heads = size32(append.kv_heads);
  shape.k_dtype = op.inout[0].dtype;
  shape.v_dtype = op.inout[1].dtype;
  shape.q_norm = op.in[3].shape.rank > 0;
  shape.k_norm = op.in[4].shape.rank > 0;
  shape.page_tokens = size32(op.inout[0].shape[2]);
  return prepare_heads(device, op, run, shape, op.in[0].shape.rows());
}

}  // namespace

const OpImpl rope_append_impl{supports, prepare};

}  // namespace strata::vulkan
