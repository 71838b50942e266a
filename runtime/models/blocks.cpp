#include "runtime/models/blocks.h"

#include <cmath>
#include <string>

namespace strata {

Value project(GraphBuilder& g, Value x, std::string_view name) {
  const std::string base(name);
  return g.linear(x, g.weight(base + ".weight"), g.optional_weight(base + ".bias"));
}

Value attend(GraphBuilder& g, const ModelConfig& c, Value q, Value k, Value v, const KvPages& kv) {
  const auto heads = static_cast<std::int32_t>(c.heads);
  const auto kv_heads = static_cast<std::int32_t>(c.kv_heads);
  const auto head_dim = static_cast<std::int32_t>(c.head_dim);
  const Rope rope{c.rope.style, head_dim, c.rope.rot_dim, rope_magnitude(c.rope)};
  const Value inv_freq = g.weight("rope.inv_freq");
  q = g.rope(q, inv_freq, rope);
  k = g.rope(k, inv_freq, rope);
  g.kv_append(k, v, kv.k, kv.v, {kv_heads, head_dim});
  const float scale = 1.0F / std::sqrt(static_cast<float>(head_dim));
  const auto window = static_cast<std::int32_t>(c.window);
  return project(g, g.attention(q, kv.k, kv.v, {heads, kv_heads, head_dim, scale, window}),
                 "attn_output");
}

Value swiglu_ffn(GraphBuilder& g, Value x) {
  return project(g, g.swiglu(project(g, x, "ffn_gate"), project(g, x, "ffn_up")), "ffn_down");
}

Value moe_ffn(GraphBuilder& g, const ModelConfig& c, Value x) {
  const auto experts = static_cast<std::int32_t>(c.experts);
  const auto used = static_cast<std::int32_t>(c.experts_used);
  const ValuePair routed =
      g.moe_route(project(g, x, "ffn_gate_inp"), MoeRoute{experts, used, /*renormalise=*/true});
  const ValuePair sorted = g.moe_sort(routed.first, MoeSort{experts});
  const Value gate =
      g.linear_experts(x, g.weight("ffn_gate_exps.weight"), sorted, LinearExperts{used, true});
  const Value up =
      g.linear_experts(x, g.weight("ffn_up_exps.weight"), sorted, LinearExperts{used, true});
  const Value down = g.linear_experts(g.swiglu(gate, up), g.weight("ffn_down_exps.weight"), sorted,
                                      LinearExperts{used, false});
  return g.moe_combine(down, routed.second, MoeCombine{used});
}

}  // namespace strata
