#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "runtime/graph/graph.h"

namespace strata {

class Device;

/// What passes ask of a graph and do to it. Positions are indices into Graph::nodes; linear
/// searches, since a graph has a few dozen nodes.

inline constexpr std::size_t kNoNode = static_cast<std::size_t>(-1);

inline OpKind kind_of(const Node& node) { return static_cast<OpKind>(node.attributes.index()); }

inline bool same(Value a, Value b) { return a.id == b.id; }

/// The node that writes `v`; kNoNode for what comes from outside or is absent.
std::size_t producer(const Graph& graph, Value v);

/// The node of `kind` that writes `v`, if nothing but the one operand asking reads it; else
/// kNoNode.
std::size_t sole_producer(const Graph& graph, Value v, OpKind kind);

/// Position of the first node that reads `v`; kNoNode if none does.
std::size_t first_reader(const Graph& graph, Value v);

/// Whether the device has the op of `node` for operands like these.
bool supports(const Graph& graph, Device& device, const Node& node);

/// Replaces the nodes at `positions`, which are distinct, by `fused` at position `at`, one of them.
void replace_nodes(Graph& graph, std::span<const std::size_t> positions, std::size_t at,
                   Node fused);

}  // namespace strata
