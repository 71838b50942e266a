#include "runtime/graph/edit.h"

#include <algorithm>

#include "runtime/ops/op_impl.h"

namespace strata {
namespace {

bool holds(const std::vector<Value>& values, Value v) {
  return std::any_of(values.begin(), values.end(), [v](Value other) { return same(v, other); });
}

std::ptrdiff_t count_readers(const Graph& graph, Value v) {
  std::ptrdiff_t readers = 0;
  for (const Node& node : graph.nodes)
    readers += std::count_if(node.in.begin(), node.in.end(),
                             [v](Value operand) { return same(v, operand); });
  return readers;
}

}  // namespace

std::size_t producer(const Graph& graph, Value v) {
  for (std::size_t i = 0; v && i < graph.nodes.size(); ++i)
    if (holds(graph.nodes[i].out, v)) return i;
  return kNoNode;
}

std::size_t sole_producer(const Graph& graph, Value v, OpKind kind) {
  const std::size_t node = producer(graph, v);
  if (node == kNoNode || kind_of(graph.nodes[node]) != kind) return kNoNode;
  const bool sole = graph[v].kind == ValueKind::activation && count_readers(graph, v) == 1;
  return sole ? node : kNoNode;
}

std::size_t first_reader(const Graph& graph, Value v) {
  for (std::size_t i = 0; i < graph.nodes.size(); ++i)
    if (holds(graph.nodes[i].in, v)) return i;
  return kNoNode;
}

bool supports(const Graph& graph, Device& device, const Node& node) {
  const OpImpl& impl = device.ops()[kind_of(node)];
  return impl.supports != nullptr && impl.supports(describe(graph, node), device.info());
}

void replace_nodes(Graph& graph, std::span<const std::size_t> positions, std::size_t at,
                   Node fused) {
  graph.nodes[at] = std::move(fused);
  std::vector<std::size_t> gone(positions.begin(), positions.end());
  std::sort(gone.rbegin(), gone.rend());  // from the last on, so that positions stay true
  for (const std::size_t position : gone)
    if (position != at)
      graph.nodes.erase(graph.nodes.begin() + static_cast<std::ptrdiff_t>(position));
}

}  // namespace strata
