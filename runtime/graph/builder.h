#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "runtime/graph/graph.h"

namespace strata {

/// Description of a weight of the layer being built, by its name within the layer; empty = the
/// model has no such tensor.
using WeightLookup = std::function<std::optional<TensorDesc>(std::string_view name)>;

/// Two values from one op.
struct ValuePair {
  Value first;
  Value second;
};

/// Builds one Graph, op after op, inferring shapes. Every method throws Error{bad_model} when
/// shapes do not fit or a required weight is missing, naming it. Used by one thread.
class GraphBuilder {
 public:
  /// Shapes are for `token_capacity` tokens. `context` begins messages ("layer 3 of llama").
  GraphBuilder(std::int64_t token_capacity, WeightLookup lookup, std::string context);

  Value input(std::int64_t columns);
  Value weight(std::string_view name);
  Value optional_weight(std::string_view name);
  /// KV pages of this layer: (pages, kv_heads, page_tokens, head_dim); pages is set when bound.
  Value state(std::string_view name, const TensorDesc& desc);

  Value embed(Value table);
  Value rms_norm(Value x, Value w, float eps);
  Value linear(Value x, Value w, Value bias = {});
  Value rope(Value x, Value inv_freq, const Rope& attributes);
  void kv_append(Value k, Value v, Value k_pages, Value v_pages, const KvAppend& attributes);
  Value attention(Value q, Value k_pages, Value v_pages, const Attention& attributes);
  Value add(Value a, Value b);
  Value swiglu(Value gate, Value up);
  ValuePair moe_route(Value logits, const MoeRoute& attributes);  ///< ids, weights
  ValuePair moe_sort(Value ids, const MoeSort& attributes);       ///< offsets, order
  Value linear_experts(Value x, Value w, ValuePair sorted, const LinearExperts& attributes);
  Value moe_combine(Value y, Value weights, const MoeCombine& attributes);
  Value gather_rows(Value x);
  Value top_candidates(Value logits, const TopCandidates& attributes);

  /// Ends the graph: `result` is what it hands out.
  Graph finish(Value result);

 private:
  Value add_value(ValueInfo info);
  Value step();
  std::vector<Value> append(OpAttributes attributes, std::vector<Value> in,
                            std::vector<Value> inout, RowCount rows);
  RowCount rows_of(Value v) const { return graph_[v].rows; }

  Graph graph_;
  std::int64_t token_capacity_;
  WeightLookup lookup_;
  std::string context_;
  Value step_;
};

}  // namespace strata
