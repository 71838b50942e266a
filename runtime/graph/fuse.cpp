#include "runtime/graph/fuse.h"

#include <optional>

#include "runtime/graph/edit.h"

namespace strata {
namespace {

// A rule makes one replacement and says so; it is asked until it finds none.

// swiglu(linear(x, w_gate), linear(x, w_up)) -> linear_gated, and the same of experts.
std::optional<Node> gated_pair(const Graph& graph, const Node& gate, const Node& up) {
  if (!same(gate.in[0], up.in[0]) || graph[gate.in[1]].desc != graph[up.in[1]].desc) return {};
  if (kind_of(gate) == OpKind::Linear) {
    if (gate.in[2] || up.in[2] || gate.in[3] || up.in[3]) return {};
    return Node{LinearGated{}, {gate.in[0], gate.in[1], up.in[1]}, {}, {}};
  }
  const auto& experts = std::get<LinearExperts>(gate.attributes);
  if (!(experts == std::get<LinearExperts>(up.attributes)) || !same(gate.in[2], up.in[2]) ||
      !same(gate.in[3], up.in[3]))
    return {};
  return Node{LinearExpertsGated{experts.used, experts.shared_input},
              {gate.in[0], gate.in[1], up.in[1], gate.in[2], gate.in[3]},
              {},
              {}};
}

bool fuse_gated(Graph& graph, Device& device) {
  for (std::size_t at = 0; at < graph.nodes.size(); ++at) {
    const Node& node = graph.nodes[at];
    if (kind_of(node) != OpKind::SwiGlu) continue;
    for (const OpKind kind : {OpKind::Linear, OpKind::LinearExperts}) {
      const std::size_t gate = sole_producer(graph, node.in[0], kind);
      const std::size_t up = sole_producer(graph, node.in[1], kind);
      if (gate == kNoNode || up == kNoNode) continue;
      std::optional<Node> fused = gated_pair(graph, graph.nodes[gate], graph.nodes[up]);
      if (!fused) continue;
      fused->out = node.out;
      if (!supports(graph, device, *fused)) continue;
      const std::size_t gone[] = {gate, up, at};
      replace_nodes(graph, gone, at, std::move(*fused));
      return true;
    }
  }
  return false;
}

// add(x, linear(y, w, bias)) -> linear(y, w, bias, x).
bool fuse_residual(Graph& graph, Device& device) {
  for (std::size_t at = 0; at < graph.nodes.size(); ++at) {
    const Node& node = graph.nodes[at];
    if (kind_of(node) != OpKind::Add) continue;
    for (const std::size_t side : {1, 0}) {
      const std::size_t linear = sole_producer(graph, node.in[side], OpKind::Linear);
      if (linear == kNoNode || graph.nodes[linear].in[3]) continue;
      Node fused = graph.nodes[linear];
      fused.in[3] = node.in[1 - side];
      fused.out = node.out;
      if (!supports(graph, device, fused)) continue;
      const std::size_t gone[] = {linear, at};
      replace_nodes(graph, gone, at, std::move(fused));
      return true;
    }
  }
  return false;
}

// linear(x, w0), linear(x, w1) and perhaps linear(x, w2) -> linear_group. They need x and weights
// only, so all can run where the first one stood.
constexpr std::size_t kGroup = 3;

Node group_of(const Graph& graph, std::span<const std::size_t> members) {
  Node fused{LinearGroup{}, std::vector<Value>(1 + 2 * kGroup), {}, std::vector<Value>(kGroup)};
  fused.in[0] = graph.nodes[members[0]].in[0];
  for (std::size_t i = 0; i < members.size(); ++i) {
    const Node& member = graph.nodes[members[i]];
    fused.in[1 + i] = member.in[1];
    fused.in[1 + kGroup + i] = member.in[2];
    fused.out[i] = member.out[0];
  }
  return fused;
}

bool fuse_group(Graph& graph, Device& device) {
  for (std::size_t at = 0; at < graph.nodes.size(); ++at) {
    std::vector<std::size_t> members;
    for (std::size_t i = at; i < graph.nodes.size() && members.size() < kGroup; ++i) {
      const Node& node = graph.nodes[i];
      if (kind_of(node) != OpKind::Linear || node.in[3]) {
        if (i == at) break;
        continue;
      }
      if (!same(node.in[0], graph.nodes[at].in[0])) continue;
      members.push_back(i);
      if (members.size() > 1 && !supports(graph, device, group_of(graph, members)))
        members.pop_back();
    }
    if (members.size() < 2) continue;
    replace_nodes(graph, members, at, group_of(graph, members));
    return true;
  }
  return false;
}

// The rope whose result the attention over these pages reads, turned like `like`.
std::size_t rope_of_q(const Graph& graph, const Node& append, const Node& like) {
  for (const Node& node : graph.nodes) {
    if (kind_of(node) != OpKind::Attention || !same(node.in[1], append.inout[0]) ||
        !same(node.in[2], append.inout[1]))
      continue;
    const std::size_t rope = producer(graph, node.in[0]);
    if (rope == kNoNode || kind_of(graph.nodes[rope]) != OpKind::Rope) continue;
    const Node& q = graph.nodes[rope];
    if (std::get<Rope>(q.attributes) == std::get<Rope>(like.attributes) &&
        same(q.in[1], like.in[1]) && same(q.in[2], like.in[2]))
      return rope;
  }
  return kNoNode;
}

// The norm over each head in front of `rope`, if it is the rope's own.
std::size_t head_norm(const Graph& graph, const Node& rope) {
  const std::size_t norm = sole_producer(graph, rope.in[0], OpKind::RmsNorm);
  if (norm == kNoNode) return kNoNode;
  const std::int64_t width = graph[graph.nodes[norm].in[1]].desc.shape.elements();
  return width == std::get<Rope>(rope.attributes).head_dim ? norm : kNoNode;
}

// rope(rms_norm(q)), kv_append(rope(rms_norm(k)), v) -> rope_append, with or without the norms.
Node rope_append_of(const Graph& graph, const Node& append, const Node& q_rope, const Node& k_rope,
                    std::vector<std::size_t>& gone) {
  Node fused{RopeAppend{std::get<Rope>(k_rope.attributes),
                        std::get<KvAppend>(append.attributes).kv_heads, 0.0F},
             {q_rope.in[0], k_rope.in[0], append.in[1], {}, {}, k_rope.in[1], append.in[2]},
             append.inout,
             q_rope.out};
  const std::size_t norms[] = {head_norm(graph, q_rope), head_norm(graph, k_rope)};
  auto eps = [&](std::size_t norm) { return std::get<RmsNorm>(graph.nodes[norm].attributes).eps; };
  if (norms[0] != kNoNode && norms[1] != kNoNode && eps(norms[0]) != eps(norms[1])) return fused;
  for (std::size_t i = 0; i < 2; ++i) {
    if (norms[i] == kNoNode) continue;
    std::get<RopeAppend>(fused.attributes).eps = eps(norms[i]);
    fused.in[i] = graph.nodes[norms[i]].in[0];
    fused.in[3 + i] = graph.nodes[norms[i]].in[1];
    gone.push_back(norms[i]);
  }
  return fused;
}

bool fuse_rope_append(Graph& graph, Device& device) {
  for (std::size_t at = 0; at < graph.nodes.size(); ++at) {
    const Node& append = graph.nodes[at];
    if (kind_of(append) != OpKind::KvAppend) continue;
    const std::size_t k_rope = sole_producer(graph, append.in[0], OpKind::Rope);
    if (k_rope == kNoNode) continue;
    const std::size_t q_rope = rope_of_q(graph, append, graph.nodes[k_rope]);
    // Rotated queries are made where keys are stored: not after something that needs them.
    if (q_rope == kNoNode || q_rope > at || first_reader(graph, graph.nodes[q_rope].out[0]) < at)
      continue;
    std::vector<std::size_t> gone{at, k_rope, q_rope};
    Node fused = rope_append_of(graph, append, graph.nodes[q_rope], graph.nodes[k_rope], gone);
    if (!supports(graph, device, fused)) continue;
    replace_nodes(graph, gone, at, std::move(fused));
    return true;
  }
  return false;
}

// rms_norm(linear(x, w, bias, residual)) over the whole row -> linear_norm. It stands where the
// linear stood, since others may read what that gives.
bool fuse_norm(Graph& graph, Device& device) {
  for (std::size_t at = 0; at < graph.nodes.size(); ++at) {
    const Node& norm = graph.nodes[at];
    if (kind_of(norm) != OpKind::RmsNorm || graph[norm.in[1]].kind != ValueKind::weight) continue;
    const std::size_t linear = producer(graph, norm.in[0]);
    if (linear == kNoNode || kind_of(graph.nodes[linear]) != OpKind::Linear) continue;
    const Node& sum = graph.nodes[linear];
    if (!sum.in[3] ||
        graph[norm.in[1]].desc.shape.elements() != graph[norm.in[0]].desc.shape.columns())
      continue;
    Node fused{LinearNorm{std::get<RmsNorm>(norm.attributes).eps},
               {sum.in[0], sum.in[1], sum.in[2], sum.in[3], norm.in[1]},
               {},
               {sum.out[0], norm.out[0]}};
    if (!supports(graph, device, fused)) continue;
    const std::size_t gone[] = {linear, at};
    replace_nodes(graph, gone, linear, std::move(fused));
    return true;
  }
  return false;
}

bool touches(const Node& node, const std::vector<Value>& states) {
  for (const Value state : states)
    for (const auto* operands : {&node.in, &node.inout})
      for (const Value v : *operands)
        if (same(v, state)) return true;
  return false;
}

// attention(rope_append(q, k, v), pages) -> rope_attention, where nothing else reads the turned
// queries, nor stands between the two with the same pages.
bool fuse_rope_attention(Graph& graph, Device& device) {
  for (std::size_t at = 0; at < graph.nodes.size(); ++at) {
    const Node& attention = graph.nodes[at];
    if (kind_of(attention) != OpKind::Attention) continue;
    const std::size_t append = sole_producer(graph, attention.in[0], OpKind::RopeAppend);
    if (append == kNoNode) continue;
    const Node& turned = graph.nodes[append];
    if (!same(attention.in[1], turned.inout[0]) || !same(attention.in[2], turned.inout[1]) ||
        !same(attention.in[3], turned.in[6]))
      continue;
    bool between = false;
    for (std::size_t i = append + 1; i < at; ++i)
      between = between || touches(graph.nodes[i], turned.inout);
    if (between) continue;
    Node fused{RopeAttention{std::get<RopeAppend>(turned.attributes),
                             std::get<Attention>(attention.attributes)},
               turned.in, turned.inout, attention.out};
    if (!supports(graph, device, fused)) continue;
    const std::size_t gone[] = {append, at};
    replace_nodes(graph, gone, append, std::move(fused));
    return true;
  }
  return false;
}

using Rule = bool (*)(Graph&, Device&);

void exhaust(Rule rule, Graph& graph, Device& device) {
  while (rule(graph, device)) {
  }
}

}  // namespace

// Gated pairs and residuals come first: what they leave may be a group.
void fuse(Graph& graph, Device& device, bool whole_matrices) {
  for (const Rule rule :
       {fuse_gated, fuse_residual, fuse_group, fuse_rope_append, fuse_rope_attention})
    exhaust(rule, graph, device);
  if (whole_matrices) exhaust(fuse_norm, graph, device);
}

}  // namespace strata
