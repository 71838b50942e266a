#include <string>

#include "runtime/core/error.h"
#include "runtime/ops/candidates.h"
#include "runtime/ops/ops.h"

namespace strata {
namespace {

using Descs = std::span<const TensorDesc>;
using Outputs = std::vector<TensorDesc>;

[[noreturn]] void mismatch(std::string_view op, const std::string& what) {
  throw Error(ErrorCode::bad_model, "op " + std::string(op), what);
}

void expect(bool holds, std::string_view op, std::string_view what, std::int64_t got,
            std::int64_t want) {
  if (!holds)
    mismatch(op, std::string(what) + " is " + std::to_string(got) + ", expected " +
                     std::to_string(want));
}

TensorDesc f32(std::int64_t rows, std::int64_t columns) {
  return {DType::F32, Layout::rows, {rows, columns}};
}

Outputs infer(const Embed&, Descs in) {
  // Tokens are counted by the step block, whose capacity the graph knows: one row here.
  return {f32(1, in[0].shape.columns())};
}

Outputs infer(const RmsNorm&, Descs in) {
  const std::int64_t n = in[1].shape.elements();
  expect(n > 0 && in[0].shape.columns() % n == 0, "rms_norm", "columns modulo weight elements",
         n == 0 ? 0 : in[0].shape.columns() % n, 0);
  return {in[0]};
}

Outputs infer(const Quantize&, Descs in) { return {{DType::I8, Layout::quantized, in[0].shape}}; }

// x (rows, k) times w (n, k), plus a bias that may be absent.
TensorDesc product(std::string_view op, const TensorDesc& x, const TensorDesc& w,
                   const TensorDesc& bias) {
  expect(x.shape.columns() == w.shape.columns(), op, "columns of x", x.shape.columns(),
         w.shape.columns());
  if (bias.shape.rank > 0)
    expect(bias.shape.elements() == w.shape.rows(), op, "elements of bias", bias.shape.elements(),
           w.shape.rows());
  return f32(x.shape.rows(), w.shape.rows());
}

TensorDesc sum_with_residual(std::string_view op, Descs in) {
  const TensorDesc out = product(op, in[0], in[1], in[2]);
  if (in[3].shape.rank > 0)
    expect(in[3].shape.columns() == out.shape.columns(), op, "columns of residual",
           in[3].shape.columns(), out.shape.columns());
  return out;
}

Outputs infer(const Linear&, Descs in) { return {sum_with_residual("linear", in)}; }

Outputs infer(const LinearNorm&, Descs in) {
  const TensorDesc out = sum_with_residual("linear_norm", in);
  expect(in[4].shape.elements() == out.shape.columns(), "linear_norm", "elements of norm",
         in[4].shape.elements(), out.shape.columns());
  return {out, out};
}

void expect_heads(const Rope& op, std::string_view name, const TensorDesc& x,
                  const TensorDesc& inv_freq) {
  expect(op.head_dim > 0 && x.shape.columns() % op.head_dim == 0, name, "columns modulo head_dim",
         op.head_dim > 0 ? x.shape.columns() % op.head_dim : 0, 0);
  expect(op.rot_dim % 2 == 0 && op.rot_dim <= op.head_dim, name, "rot_dim", op.rot_dim,
         op.head_dim);
  expect(inv_freq.shape.elements() * 2 == op.rot_dim, name, "inverse frequencies",
         inv_freq.shape.elements(), op.rot_dim / 2);
}

Outputs infer(const Rope& op, Descs in) {
  expect_heads(op, "rope", in[0], in[1]);
  return {in[0]};
}

void expect_width(std::string_view op, const TensorDesc& k, const TensorDesc& v,
                  std::int64_t width) {
  expect(k.shape.columns() == width, op, "columns of k", k.shape.columns(), width);
  expect(v.shape.columns() == width, op, "columns of v", v.shape.columns(), width);
}

Outputs infer(const KvAppend& op, Descs in) {
  expect_width("kv_append", in[0], in[1], std::int64_t{op.kv_heads} * op.head_dim);
  return {};
}

void expect_appended(const RopeAppend& op, std::string_view name, Descs in) {
  expect_heads(op.rope, name, in[0], in[5]);
  expect_width(name, in[1], in[2], std::int64_t{op.kv_heads} * op.rope.head_dim);
  for (const TensorDesc& norm : {in[3], in[4]})
    if (norm.shape.rank > 0)
      expect(norm.shape.elements() == op.rope.head_dim, name, "elements of a norm",
             norm.shape.elements(), op.rope.head_dim);
}

Outputs infer(const RopeAppend& op, Descs in) {
  expect_appended(op, "rope_append", in);
  return {in[0]};
}

void expect_queries(const Attention& op, std::string_view name, const TensorDesc& q) {
  const std::int64_t width = std::int64_t{op.heads} * op.head_dim;
  expect(q.shape.columns() == width, name, "columns of q", q.shape.columns(), width);
  expect(op.kv_heads > 0 && op.heads % op.kv_heads == 0, name, "heads modulo kv_heads",
         op.kv_heads > 0 ? op.heads % op.kv_heads : op.heads, 0);
}

Outputs infer(const Attention& op, Descs in) {
  expect_queries(op, "attention", in[0]);
  return {in[0]};
}

Outputs infer(const RopeAttention& op, Descs in) {
  expect_appended(op.append, "rope_attention", in);
  expect_queries(op.attention, "rope_attention", in[0]);
  expect(op.attention.head_dim == op.append.rope.head_dim, "rope_attention", "head_dim",
         op.attention.head_dim, op.append.rope.head_dim);
  expect(op.attention.kv_heads == op.append.kv_heads, "rope_attention", "kv_heads",
         op.attention.kv_heads, op.append.kv_heads);
  return {in[0]};
}

Outputs same_shape(std::string_view op, Descs in) {
  if (in[0].shape != in[1].shape)
    mismatch(op, "shapes " + to_string(in[0].shape) + " and " + to_string(in[1].shape) + " differ");
  return {in[0]};
}

Outputs infer(const Add&, Descs in) { return same_shape("add", in); }
Outputs infer(const SwiGlu&, Descs in) { return same_shape("swiglu", in); }

Outputs infer(const MoeRoute& op, Descs in) {
  expect(in[0].shape.columns() == op.experts, "moe_route", "columns of logits",
         in[0].shape.columns(), op.experts);
  expect(op.used >= 1 && op.used <= op.experts, "moe_route", "experts used", op.used, op.experts);
  const std::int64_t tokens = in[0].shape.rows();
  return {{DType::I32, Layout::rows, {tokens, op.used}}, f32(tokens, op.used)};
}

Outputs infer(const MoeSort& op, Descs in) {
  const std::int64_t routes = in[0].shape.elements();
  return {{DType::I32, Layout::rows, {1, std::int64_t{op.experts} + 1}},
          {DType::I32, Layout::rows, {routes, 1}}};
}

Outputs infer(const LinearGroup&, Descs in) {
  Outputs out;
  for (std::size_t i = 0; i < 3; ++i)
    out.push_back(in[1 + i].shape.rank > 0 ? product("linear_group", in[0], in[1 + i], in[4 + i])
                                           : TensorDesc{});
  return out;
}

Outputs infer(const LinearGated&, Descs in) {
  if (in[1] != in[2]) mismatch("linear_gated", "w_gate and w_up differ");
  return {product("linear_gated", in[0], in[1], {})};
}

TensorDesc experts_product(std::string_view op, const TensorDesc& x, const TensorDesc& w,
                           std::int64_t routes, std::int64_t routes_per_x) {
  expect(w.shape.rank == 3, op, "rank of w", w.shape.rank, 3);
  expect(x.shape.columns() == w.shape[2], op, "columns of x", x.shape.columns(), w.shape[2]);
  expect(x.shape.rows() == routes / routes_per_x, op, "rows of x", x.shape.rows(),
         routes / routes_per_x);
  return f32(routes, w.shape[1]);
}

Outputs infer(const LinearExperts& op, Descs in) {
  return {experts_product("linear_experts", in[0], in[1], in[3].shape.elements(),
                          op.shared_input ? op.used : 1)};
}

Outputs infer(const LinearExpertsGated& op, Descs in) {
  if (in[1] != in[2]) mismatch("linear_experts_gated", "w_gate and w_up differ");
  return {experts_product("linear_experts_gated", in[0], in[1], in[4].shape.elements(),
                          op.shared_input ? op.used : 1)};
}

Outputs infer(const MoeCombine& op, Descs in) {
  const std::int64_t routes = in[0].shape.rows();
  expect(in[1].shape.elements() == routes, "moe_combine", "weights", in[1].shape.elements(),
         routes);
  return {f32(routes / op.used, in[0].shape.columns())};
}

Outputs infer(const GatherRows&, Descs in) { return {in[0]}; }
Outputs infer(const Pack&, Descs in) { return {{in[0].dtype, Layout::panels16, in[0].shape}}; }

Outputs infer(const TopCandidates& op, Descs in) {
  expect(op.count >= 1, "top_candidates", "candidates of a row", op.count, 1);
  const std::int64_t words = candidate_words(op.count);
  return {{DType::I32, Layout::rows, {in[0].shape.rows(), words}}};
}

Outputs infer(const std::monostate&, Descs) { mismatch("none", "an empty op has no outputs"); }

}  // namespace

std::vector<TensorDesc> infer_outputs(const OpAttributes& attributes, Descs in) {
  const auto want = static_cast<std::size_t>(kOps[attributes.index()].inputs);
  if (in.size() != want)
    mismatch(kOps[attributes.index()].name,
             std::to_string(in.size()) + " inputs, expected " + std::to_string(want));
  return std::visit([&](const auto& op) { return infer(op, in); }, attributes);
}

}  // namespace strata
