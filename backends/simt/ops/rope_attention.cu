#include "backends/simt/attention_op.h"

namespace strata::STRATA_SIMT {
namespace {

// The ops that it stands for.
struct Parts {
  PreparedOp append;
  PreparedOp attention;
};

constexpr std::size_t kWorkspaceAlignment = 64;

TensorDesc turned_queries(const OpDesc& op) { return {DType::F32, Layout::rows, op.in[0].shape}; }

std::size_t turned_bytes(const OpDesc& op) {
  const std::size_t bytes = byte_size(turned_queries(op));
  return (bytes + kWorkspaceAlignment - 1) / kWorkspaceAlignment * kWorkspaceAlignment;
}

OpDesc append_of(const OpDesc& op) {
  return {std::get<RopeAttention>(op.attributes).append, op.in, op.inout, {turned_queries(op)}};
}

OpDesc attention_of(const OpDesc& op) {
  return {std::get<RopeAttention>(op.attributes).attention,
          {turned_queries(op), op.inout[0], op.inout[1], op.in[6]},
          {},
          op.out};
}

bool supports(const OpDesc& op, const DeviceInfo& info) {
  const RopeAttention& both = std::get<RopeAttention>(op.attributes);
  return both.append.kv_heads == both.attention.kv_heads &&
         both.append.rope.head_dim == both.attention.head_dim &&
         rope_append_impl.supports(append_of(op), info) &&
         attention_impl.supports(attention_of(op), info);
}

// One token, whose block of a kv head turns and appends what it reads.
void run_one(Stream& stream, const PreparedOp& op, const Operands& operands, Workspace workspace) {
  const auto& parts = *static_cast<const Parts*>(op.state.get());
  const RopeAppend& append = std::get<RopeAttention>(op.desc.attributes).append;
  const auto& in = operands.in;
  const OwnToken own{in[1].as<const float>(), in[2].as<const float>(),
                     in[3].as<const float>(), in[4].as<const float>(),
                     in[5].as<const float>(), rope_shape(append.rope, append.eps)};
  const TensorView attended[] = {in[0], operands.inout[0], operands.inout[1], in[6]};
  run_with_own_token(stream, parts.attention, {attended, {}, operands.out}, workspace, own);
}

void run_both(Stream& stream, const PreparedOp& op, const Operands& operands, Workspace workspace) {
  const auto& parts = *static_cast<const Parts*>(op.state.get());
  TensorView turned = dense_view(workspace.data(), turned_queries(op.desc));
  turned.shape[0] = operands.in[0].rows();
  parts.append.run(stream, parts.append, {operands.in, operands.inout, {&turned, 1}}, {});
  const TensorView attended[] = {turned, operands.inout[0], operands.inout[1], operands.in[6]};
  parts.attention.run(stream, parts.attention, {attended, {}, operands.out},
                      workspace.subspan(turned_bytes(op.desc)));
}

PreparedOp prepare(Device& device, const OpDesc& op) {
  auto parts =
      std::make_shared<const Parts>(Parts{rope_append_impl.prepare(device, append_of(op)),
                                          attention_impl.prepare(device, attention_of(op))});
  const std::size_t bytes = parts->attention.workspace_bytes;
  const std::string_view kernel = parts->attention.kernel;
  if (can_turn_own_token(attention_of(op)))
    return prepared(op, run_one, "split context, own token", bytes, std::move(parts));
  return prepared(op, run_both, kernel, turned_bytes(op) + bytes, std::move(parts));
}

}  // namespace

const OpImpl rope_attention_impl{supports, prepare};

}  // namespace strata::STRATA_SIMT
