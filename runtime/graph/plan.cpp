#include "runtime/graph/plan.h"

#include "runtime/graph/arena.h"
#include "runtime/graph/fuse.h"
#include "runtime/graph/passes.h"

namespace strata {
namespace {

std::vector<std::int32_t> ids_of(const std::vector<Value>& values) {
  std::vector<std::int32_t> ids;
  for (Value v : values) ids.push_back(v.id);
  return ids;
}

// Lifetimes of activations (from the node that writes to the last that reads) and of workspaces
// (one node), laid out in one arena.
void place(Plan& plan) {
  std::vector<ArenaRequest> requests(plan.values.size());
  std::vector<bool> written(plan.values.size(), false);
  for (std::size_t n = 0; n < plan.nodes.size(); ++n) {
    const auto at = static_cast<std::int32_t>(n);
    auto touch = [&](std::int32_t id) {
      if (id < 0) return;
      const auto i = static_cast<std::size_t>(id);
      if (!written[i]) requests[i].first = at;
      written[i] = true;
      requests[i].last = at;
    };
    for (std::int32_t id : plan.nodes[n].in) touch(id);
    for (std::int32_t id : plan.nodes[n].out) touch(id);
  }
  for (std::size_t i = 0; i < plan.values.size(); ++i)
    if (plan.values[i].kind == ValueKind::activation && written[i])
      requests[i].bytes = byte_size(plan.values[i].desc);
  for (std::size_t n = 0; n < plan.nodes.size(); ++n)
    requests.push_back({plan.nodes[n].op.workspace_bytes, static_cast<std::int32_t>(n),
                        static_cast<std::int32_t>(n), 0});
  plan.arena_bytes = layout_arena(requests);
  for (std::size_t i = 0; i < plan.values.size(); ++i) plan.values[i].offset = requests[i].offset;
  for (std::size_t n = 0; n < plan.nodes.size(); ++n)
    plan.nodes[n].workspace_offset = requests[plan.values.size() + n].offset;
}

}  // namespace

Plan make_plan(Graph graph, Device& device, const PlanOptions& options) {
  if (options.fuse) fuse(graph, device, options.whole_matrices);
  settle_layouts(graph, device, options);
  Plan plan;
  for (const ValueInfo& info : graph.values)
    plan.values.push_back({info.kind, info.desc, info.rows, info.slot, 0});
  for (const Node& node : graph.nodes)
    plan.nodes.push_back({prepare_op(device, describe(graph, node)), ids_of(node.in),
                          ids_of(node.inout), ids_of(node.out), 0});
  plan.weights = std::move(graph.weights);
  plan.states = std::move(graph.states);
  place(plan);
  return plan;
}

}  // namespace strata
