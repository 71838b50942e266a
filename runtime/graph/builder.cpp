#include "runtime/graph/builder.h"

#include <fmt/format.h>

#include "runtime/core/error.h"

namespace strata {

OpDesc describe(const Graph& graph, const Node& node) {
  auto list = [&](const std::vector<Value>& values) {
    std::vector<TensorDesc> descs;
    for (Value v : values) descs.push_back(v ? graph[v].desc : TensorDesc{});
    return descs;
  };
  return {node.attributes, list(node.in), list(node.inout), list(node.out)};
}

GraphBuilder::GraphBuilder(std::int64_t token_capacity, WeightLookup lookup, std::string context)
    : token_capacity_(token_capacity), lookup_(std::move(lookup)), context_(std::move(context)) {}

Value GraphBuilder::add_value(ValueInfo info) {
  graph_.values.push_back(std::move(info));
  return {static_cast<std::int32_t>(graph_.values.size() - 1)};
}

Value GraphBuilder::input(std::int64_t columns) {
  return add_value({ValueKind::input,
                    {DType::F32, Layout::rows, {token_capacity_, columns}},
                    {RowKind::tokens, 1},
                    -1});
}

Value GraphBuilder::optional_weight(std::string_view name) {
  for (std::size_t i = 0; i < graph_.values.size(); ++i) {
    const ValueInfo& info = graph_.values[i];
    if (info.kind == ValueKind::weight &&
        graph_.weights[static_cast<std::size_t>(info.slot)].name == name)
      return {static_cast<std::int32_t>(i)};
  }
  const std::optional<TensorDesc> desc = lookup_(name);
  if (!desc) return {};
  graph_.weights.push_back({std::string(name), *desc});
  return add_value(
      {ValueKind::weight, *desc, {}, static_cast<std::int32_t>(graph_.weights.size() - 1)});
}

Value GraphBuilder::weight(std::string_view name) {
  const Value v = optional_weight(name);
  if (!v)
    throw Error(ErrorCode::bad_model, context_, fmt::format("tensor \"{}\" is missing", name),
                "the file is incomplete or of another architecture; see `strata inspect`");
  return v;
}

Value GraphBuilder::state(std::string_view name, const TensorDesc& desc) {
  graph_.states.emplace_back(name);
  return add_value(
      {ValueKind::state, desc, {}, static_cast<std::int32_t>(graph_.states.size() - 1)});
}

Value GraphBuilder::step() {
  if (!step_) step_ = add_value({ValueKind::step, {DType::I8, Layout::rows, {1, 64}}, {}, -1});
  return step_;
}

std::vector<Value> GraphBuilder::append(OpAttributes attributes, std::vector<Value> in,
                                        std::vector<Value> inout, RowCount rows) {
  Node node{std::move(attributes), std::move(in), std::move(inout), {}};
  std::vector<TensorDesc> outputs;
  try {
    outputs = infer_outputs(node.attributes, describe(graph_, node).in);
  } catch (const Error& e) {
    throw Error(e.code(), context_, e.what(), e.hint());
  }
  for (TensorDesc& desc : outputs) {
    if (rows.kind != RowKind::fixed) desc.shape[0] = token_capacity_ * rows.per;
    node.out.push_back(add_value({ValueKind::activation, desc, rows, -1}));
  }
  std::vector<Value> results = node.out;
  graph_.nodes.push_back(std::move(node));
  return results;
}

Value GraphBuilder::embed(Value table) {
  return append(Embed{}, {table, step()}, {}, {RowKind::tokens, 1})[0];
}

Value GraphBuilder::rms_norm(Value x, Value w, float eps) {
  return append(RmsNorm{eps}, {x, w}, {}, rows_of(x))[0];
}

Value GraphBuilder::linear(Value x, Value w, Value bias) {
  return append(Linear{}, {x, w, bias, {}}, {}, rows_of(x))[0];
}

Value GraphBuilder::rope(Value x, Value inv_freq, const Rope& attributes) {
  return append(attributes, {x, inv_freq, step()}, {}, rows_of(x))[0];
}

void GraphBuilder::kv_append(Value k, Value v, Value k_pages, Value v_pages,
                             const KvAppend& attributes) {
  append(attributes, {k, v, step()}, {k_pages, v_pages}, rows_of(k));
}

Value GraphBuilder::attention(Value q, Value k_pages, Value v_pages, const Attention& attributes) {
  return append(attributes, {q, k_pages, v_pages, step()}, {}, rows_of(q))[0];
}

Value GraphBuilder::add(Value a, Value b) { return append(Add{}, {a, b}, {}, rows_of(a))[0]; }

Value GraphBuilder::swiglu(Value gate, Value up) {
  return append(SwiGlu{}, {gate, up}, {}, rows_of(gate))[0];
}

ValuePair GraphBuilder::moe_route(Value logits, const MoeRoute& attributes) {
  const std::vector<Value> out = append(attributes, {logits}, {}, rows_of(logits));
  return {out[0], out[1]};
}

ValuePair GraphBuilder::moe_sort(Value ids, const MoeSort& attributes) {
  const auto used = static_cast<std::int32_t>(graph_[ids].desc.shape.columns());
  const std::vector<Value> out = append(attributes, {ids}, {}, {});
  graph_[out[1]].rows = {RowKind::tokens, used};
  return {out[0], out[1]};
}

Value GraphBuilder::linear_experts(Value x, Value w, ValuePair sorted,
                                   const LinearExperts& attributes) {
  return append(attributes, {x, w, sorted.first, sorted.second}, {},
                {RowKind::tokens, attributes.used})[0];
}

Value GraphBuilder::moe_combine(Value y, Value weights, const MoeCombine& attributes) {
  return append(attributes, {y, weights}, {}, {RowKind::tokens, 1})[0];
}

Value GraphBuilder::gather_rows(Value x) {
  return append(GatherRows{}, {x, step()}, {}, {RowKind::wanted, 1})[0];
}

Value GraphBuilder::top_candidates(Value logits, const TopCandidates& attributes) {
  return append(attributes, {logits}, {}, rows_of(logits))[0];
}

Graph GraphBuilder::finish(Value result) {
  graph_[result].kind = ValueKind::output;
  return std::move(graph_);
}

}  // namespace strata
