#include "runtime/graph/passes.h"

#include <fmt/format.h>

#include <map>
#include <utility>

#include "runtime/core/error.h"
#include "runtime/graph/edit.h"

namespace strata {
namespace {

// The value of weight `v` in `layout`: itself, or another slot of the same tensor.
Value weight_in_layout(Graph& graph, Value v, Layout layout) {
  const ValueInfo original = graph[v];
  if (original.desc.layout == layout) return v;
  const std::string name = graph.weights[static_cast<std::size_t>(original.slot)].name;
  for (std::size_t i = 0; i < graph.values.size(); ++i) {
    const ValueInfo& info = graph.values[i];
    if (info.kind == ValueKind::weight && info.desc.layout == layout &&
        graph.weights[static_cast<std::size_t>(info.slot)].name == name)
      return {static_cast<std::int32_t>(i)};
  }
  ValueInfo packed = original;
  packed.desc.layout = layout;
  packed.slot = static_cast<std::int32_t>(graph.weights.size());
  graph.weights.push_back({name, packed.desc});
  graph.values.push_back(packed);
  return {static_cast<std::int32_t>(graph.values.size() - 1)};
}

void lay_out_weights(Graph& graph, Node& node, const PreparedOp& wish) {
  for (const MatmulWeight& matrix : matmul_weights(kind_of(node))) {
    const auto at = static_cast<std::size_t>(matrix.weight);
    if (node.in[at]) node.in[at] = weight_in_layout(graph, node.in[at], wish.wanted[at]);
  }
}

// Lets what makes an activation write it in the one layout that all its readers want. A matmul does
// not where its output is cut with its row blocks, which only f32 rows can be.
void fold_quantize(Graph& graph, Device& device, const PlanOptions& options) {
  for (std::size_t at = 0; at < graph.nodes.size();) {
    const Node& quantize = graph.nodes[at++];
    if (kind_of(quantize) != OpKind::Quantize) continue;
    const std::size_t maker = producer(graph, quantize.in[0]);
    if (maker == kNoNode) continue;
    const bool matmul = !matmul_weights(kind_of(graph.nodes[maker])).empty();
    if (matmul && !options.whole_matrices) continue;
    if (sole_producer(graph, quantize.in[0], kind_of(graph.nodes[maker])) == kNoNode) continue;
    Node direct = graph.nodes[maker];
    for (Value& out : direct.out)
      if (same(out, quantize.in[0])) out = quantize.out[0];
    if (!supports(graph, device, direct)) continue;
    const std::size_t gone[] = {maker, --at};
    replace_nodes(graph, gone, maker, std::move(direct));
  }
}

// Weight slots that no node reads any more are dropped, so that nobody uploads them.
void drop_unused_weights(Graph& graph) {
  std::vector<bool> used(graph.weights.size(), false);
  for (const Node& node : graph.nodes)
    for (Value v : node.in)
      if (v && graph[v].kind == ValueKind::weight)
        used[static_cast<std::size_t>(graph[v].slot)] = true;
  std::vector<std::int32_t> renumbered(graph.weights.size(), -1);
  std::vector<WeightSlot> kept;
  for (std::size_t i = 0; i < used.size(); ++i) {
    if (!used[i]) continue;
    renumbered[i] = static_cast<std::int32_t>(kept.size());
    kept.push_back(std::move(graph.weights[i]));
  }
  graph.weights = std::move(kept);
  for (ValueInfo& info : graph.values)
    if (info.kind == ValueKind::weight) info.slot = renumbered[static_cast<std::size_t>(info.slot)];
}

}  // namespace

void settle_layouts(Graph& graph, Device& device, const PlanOptions& options) {
  std::vector<Node> nodes;
  std::map<std::pair<std::int32_t, Layout>, Value> quantized;  // by the f32 activation's id
  for (Node& node : graph.nodes) {
    if (!matmul_weights(kind_of(node)).empty()) {
      const PreparedOp wish = prepare_op(device, describe(graph, node));
      if (options.pack_weights) lay_out_weights(graph, node, wish);
      if (wish.wanted[0] != graph[node.in[0]].desc.layout) {
        Value& shared = quantized[{node.in[0].id, wish.wanted[0]}];
        if (!shared) {
          ValueInfo info = graph[node.in[0]];
          info.kind = ValueKind::activation;
          info.desc.dtype = activation_dtype(wish.wanted[0]);
          info.desc.layout = wish.wanted[0];
          graph.values.push_back(info);
          shared = {static_cast<std::int32_t>(graph.values.size() - 1)};
          nodes.push_back({Quantize{}, {node.in[0]}, {}, {shared}});
        }
        node.in[0] = shared;
      }
    }
    nodes.push_back(std::move(node));
  }
  graph.nodes = std::move(nodes);
  if (options.fuse) fold_quantize(graph, device, options);
  drop_unused_weights(graph);
}

}  // namespace strata
