// Qwen3 (Yang et al. 2025): no biases, Q and K normalised per head before rope, head_dim free of
// dim / heads.
#include "runtime/models/blocks.h"
#include "runtime/models/key_reader.h"

namespace strata {
namespace {

constexpr TensorRule kTensors[] = {
    STRATA_ATTENTION_TENSORS,
    STRATA_QK_NORMS,
    STRATA_FFN_TENSORS,
};

void configure(const KeyReader&, ModelConfig& config) { config.rope.style = RopeStyle::half_split; }

Value attention(GraphBuilder& g, const ModelConfig& c, Value x, const KvPages& kv) {
  const Value h = g.rms_norm(x, g.weight("attn_norm.weight"), c.norm_eps);
  Value q = project(g, h, "attn_q");  // (tokens, heads * head_dim)
  Value k = project(g, h, "attn_k");  // (tokens, kv_heads * head_dim)
  const Value v = project(g, h, "attn_v");
  q = g.rms_norm(q, g.weight("attn_q_norm.weight"), c.norm_eps);  // over each head
  k = g.rms_norm(k, g.weight("attn_k_norm.weight"), c.norm_eps);
  return g.add(x, attend(g, c, q, k, v, kv));
}

Value feed_forward(GraphBuilder& g, const ModelConfig& c, Value x) {
  const Value h = g.rms_norm(x, g.weight("ffn_norm.weight"), c.norm_eps);
  return g.add(x, swiglu_ffn(g, h));
}

}  // namespace

extern const Architecture kQwen3{"qwen3", "Qwen3", configure, kTensors, attention, feed_forward};

}  // namespace strata
