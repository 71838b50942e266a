#include "backends/vulkan/ops/heads.h"

namespace strata::vulkan {
namespace {

bool supports(const OpDesc& op, const DeviceInfo&) {
  const KvAppend& append = std::get<KvAppend>(op.attributes);
  return is_f32_rows(op.in[0]) && is_f32_rows(op.in[1]) &&
         is_cache(op.inout[0], append.kv_heads, append.head_dim) &&
         is_cache(op.inout[1], append.kv_heads, append.head_dim);
}

void run(Stream& stream, const PreparedOp& op, const Operands& operands, Workspace) {
  const TensorView& k = operands.in[0];
  const TensorView& v = operands.in[1];
  HeadsPush push;
  push.k = address(k);
  push.v = address(v);
  push.step = address(operands.in[2]);
  push.k_pages = address(operands.inout[0]);
  push.v_pages = address(operands.inout[1]);
  push.tokens = size32(k.rows());
  push.k_stride = stride_bytes(k);
  push.v_stride = stride_bytes(v);
  push.k_row = stride_bytes(operands.inout[0]);
  push.v_row = stride_bytes(operands.inout[1]);
  run_heads(stream, op, push);
}

PreparedOp prepare(Device& device, const OpDesc& op) {
  const KvAppend& append = std::get<KvAppend>(op.attributes);
  HeadsShape shape;
  shape.rope.head_dim = append.head_dim;
  shape.kv_heads = size32(append.kv_heads);
  shape.k_dtype = op.inout[0].dtype;
  shape.v_dtype = op.inout[1].dtype;
  shape.page_tokens = size32(op.inout[0].shape[2]);
  return prepare_heads(device, op, run, shape, op.in[0].shape.rows());
}

}  // namespace

const OpImpl kv_append_impl{supports, prepare};

}  // namespace strata::vulkan
