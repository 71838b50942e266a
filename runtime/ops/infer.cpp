#include <string>

#include "runtime/core/error.h"
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

Outputs infer(const Quantize&, Descs in) {
  return {{DType::I8, Layout::quantized, in[0].shape}};
}

Outputs infer(const Linear&, Descs in) {
  expect(in[0].shape.columns() == in[1].shape.columns(), "linear", "columns of x",
         in[0].shape.columns(), in[1].shape.columns());
  if (in[2].shape.rank > 0)
    expect(in[2].shape.elements() == in[1].shape.rows(), "linear", "elements of bias",
           in[2].shape.elements(), in[1].shape.rows());
  return {f32(in[0].shape.rows(), in[1].shape.rows())};
}

Outputs infer(const Rope& op, Descs in) {
  expect(op.head_dim > 0 && in[0].shape.columns() % op.head_dim == 0, "rope",
         "columns modulo head_dim", op.head_dim > 0 ? in[0].shape.columns() % op.head_dim : 0, 0);
  expect(op.rot_dim % 2 == 0 && op.rot_dim <= op.head_dim, "rope", "rot_dim", op.rot_dim,
         op.head_dim);
  expect(in[1].shape.elements() * 2 == op.rot_dim, "rope", "inverse frequencies",
         in[1].shape.elements(), op.rot_dim / 2);
  return {in[0]};
}

Outputs infer(const KvAppend& op, Descs in) {
  const std::int64_t width = std::int64_t{op.kv_heads} * op.head_dim;
  expect(in[0].shape.columns() == width, "kv_append", "columns of k", in[0].shape.columns(), width);
  expect(in[1].shape.columns() == width, "kv_append", "columns of v", in[1].shape.columns(), width);
  return {};
}

Outputs infer(const Attention& op, Descs in) {
  const std::int64_t width = std::int64_t{op.heads} * op.head_dim;
  expect(in[0].shape.columns() == width, "attention", "columns of q", in[0].shape.columns(), width);
  expect(op.kv_heads > 0 && op.heads % op.kv_heads == 0, "attention", "heads modulo kv_heads",
         op.kv_heads > 0 ? op.heads % op.kv_heads : op.heads, 0);
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

Outputs infer(const LinearExperts& op, Descs in) {
  expect(in[1].shape.rank == 3, "linear_experts", "rank of w", in[1].shape.rank, 3);
  expect(in[0].shape.columns() == in[1].shape[2], "linear_experts", "columns of x",
         in[0].shape.columns(), in[1].shape[2]);
  const std::int64_t routes = in[3].shape.elements();
  const std::int64_t want = op.shared_input ? routes / op.used : routes;
  expect(in[0].shape.rows() == want, "linear_experts", "rows of x", in[0].shape.rows(), want);
  return {f32(routes, in[1].shape[1])};
}

Outputs infer(const MoeCombine& op, Descs in) {
  const std::int64_t routes = in[0].shape.rows();
  expect(in[1].shape.elements() == routes, "moe_combine", "weights", in[1].shape.elements(),
         routes);
  return {f32(routes / op.used, in[0].shape.columns())};
}

Outputs infer(const GatherRows&, Descs in) { return {in[0]}; }
Outputs infer(const Pack&, Descs in) { return {{in[0].dtype, Layout::panels16, in[0].shape}}; }
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
