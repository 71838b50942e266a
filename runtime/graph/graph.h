#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "runtime/ops/ops.h"

namespace strata {

/// What a value's number of rows follows, times `per`.
enum class RowKind : std::uint8_t {
  fixed,   ///< the shape as it stands
  tokens,  ///< live tokens of the step
  wanted,  ///< rows whose logits the step wants
};
struct RowCount {
  RowKind kind = RowKind::fixed;
  std::int32_t per = 1;
};

enum class ValueKind : std::uint8_t {
  activation,  ///< lives in the arena
  input,       ///< the one activation handed in (tokens, dim)
  output,      ///< the one activation handed out
  weight,      ///< bound per layer, by weight slot
  state,       ///< sequence state (KV pages), bound per layer, by state slot
  step,        ///< the StepState block
};

/// A handle to a value of the graph being built; -1 = absent (an optional operand).
struct Value {
  std::int32_t id = -1;
  explicit operator bool() const { return id >= 0; }
};

struct ValueInfo {
  ValueKind kind = ValueKind::activation;
  TensorDesc desc;  ///< at capacity
  RowCount rows;
  std::int32_t slot = -1;  ///< weight or state slot
};

struct Node {
  OpAttributes attributes;
  std::vector<Value> in;
  std::vector<Value> inout;
  std::vector<Value> out;
};

/// A weight that the graph reads: its name within the layer ("attn_q.weight") and the description
/// it must have, layout included. The same tensor in two layouts is two slots.
struct WeightSlot {
  std::string name;
  TensorDesc desc;
};

/// One layer kind's program, or the model's head or tail. Plain data in execution order; immutable
/// once planned, so it may be shared between threads.
struct Graph {
  std::vector<ValueInfo> values;
  std::vector<Node> nodes;
  std::vector<WeightSlot> weights;
  std::vector<std::string> states;  ///< state slots, by name ("k_pages")

  const ValueInfo& operator[](Value v) const { return values[static_cast<std::size_t>(v.id)]; }
  ValueInfo& operator[](Value v) { return values[static_cast<std::size_t>(v.id)]; }
};

/// The op of a node with the descriptions of its operands; an absent operand has rank 0.
OpDesc describe(const Graph& graph, const Node& node);

}  // namespace strata
