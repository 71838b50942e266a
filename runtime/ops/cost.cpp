#include "runtime/ops/ops.h"

namespace strata {
namespace {

std::uint64_t bytes_of(std::span<const TensorDesc> descs) {
  std::uint64_t total = 0;
  for (const TensorDesc& desc : descs)
    if (desc.shape.rank > 0) total += byte_size(desc);
  return total;
}

std::uint64_t product(std::int64_t a, std::int64_t b, std::int64_t c) {
  return static_cast<std::uint64_t>(a) * static_cast<std::uint64_t>(b) *
         static_cast<std::uint64_t>(c);
}

// Reading a few rows of a large operand, not all of it.
OpCost rows_only(const OpDesc& op) {
  const std::uint64_t written = bytes_of(op.out);
  const std::int64_t rows = op.out[0].shape.rows();
  return {static_cast<std::uint64_t>(rows) * row_bytes(op.in[0].dtype, op.in[0].shape.columns()),
          written, 0};
}

OpCost attention_cost(const OpDesc& op, const Attention& a, const TensorDesc& k_pages,
                      const TensorDesc& v_pages, std::int64_t kv_tokens) {
  const std::int64_t tokens = op.in[0].shape.rows();
  const std::int64_t context = a.window > 0 && a.window < kv_tokens ? a.window : kv_tokens;
  const auto width = static_cast<std::int64_t>(row_bytes(k_pages.dtype, a.head_dim) +
                                               row_bytes(v_pages.dtype, a.head_dim));
  return {product(context, a.kv_heads, width) + byte_size(op.in[0]), bytes_of(op.out),
          4 * product(tokens, context, std::int64_t{a.heads} * a.head_dim)};
}

// Queries are between the two, and nowhere.
OpCost rope_attention_cost(const OpDesc& op, const Attention& a, std::int64_t kv_tokens) {
  OpCost cost = attention_cost(op, a, op.inout[0], op.inout[1], kv_tokens);
  const std::uint64_t kv = byte_size(op.in[1]) + byte_size(op.in[2]);
  cost.bytes_read += kv;
  cost.bytes_written += kv;
  cost.flops += static_cast<std::uint64_t>(op.in[0].shape.elements());
  return cost;
}

// Of a matrix per expert only those with routes are read.
std::uint64_t touched_bytes(const TensorDesc& w, std::int64_t routes) {
  if (w.shape.rank < 3 || routes >= w.shape[0]) return byte_size(w);
  return byte_size(w) / static_cast<std::uint64_t>(w.shape[0]) * static_cast<std::uint64_t>(routes);
}

OpCost matmul_cost(const OpDesc& op) {
  OpCost cost{bytes_of(op.in), bytes_of(op.out), 0};
  for (const MatmulWeight& m : matmul_weights(op.kind())) {
    const TensorDesc& w = op.in[static_cast<std::size_t>(m.weight)];
    if (w.shape.rank == 0) continue;
    const TensorDesc& out = op.out[static_cast<std::size_t>(m.out)];
    cost.bytes_read -= byte_size(w) - touched_bytes(w, out.shape.rows());
    cost.flops += 2 * product(out.shape.rows(), out.shape.columns(), w.shape.columns());
  }
  if (op.kind() == OpKind::LinearNorm)
    cost.flops += static_cast<std::uint64_t>(op.out[1].shape.elements());
  return cost;
}

}  // namespace

OpCost op_cost(const OpDesc& op, std::int64_t kv_tokens) {
  if (op.kind() == OpKind::Embed || op.kind() == OpKind::GatherRows) return rows_only(op);
  if (const auto* a = std::get_if<Attention>(&op.attributes))
    return attention_cost(op, *a, op.in[1], op.in[2], kv_tokens);
  if (const auto* a = std::get_if<RopeAttention>(&op.attributes))
    return rope_attention_cost(op, a->attention, kv_tokens);
  if (!matmul_weights(op.kind()).empty()) return matmul_cost(op);
  if (op.kind() == OpKind::KvAppend) {
    const std::uint64_t in = byte_size(op.in[0]) + byte_size(op.in[1]);
    return {in, in, 0};
  }
  if (op.kind() == OpKind::RopeAppend) {
    const std::uint64_t kv = byte_size(op.in[1]) + byte_size(op.in[2]);
    return {byte_size(op.in[0]) + kv, byte_size(op.out[0]) + kv,
            static_cast<std::uint64_t>(op.out[0].shape.elements())};
  }
  OpCost cost{bytes_of(op.in), bytes_of(op.out), 0};
  if (op.kind() == OpKind::TopCandidates) {
    cost.flops = 2 * static_cast<std::uint64_t>(op.in[0].shape.elements());
    return cost;
  }
  if (!op.out.empty()) cost.flops = static_cast<std::uint64_t>(op.out[0].shape.elements());
  return cost;
}

}  // namespace strata
