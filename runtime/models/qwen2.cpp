// Qwen2 and Qwen2.5 (Yang et al. 2024): Llama with biases on Q, K and V and half-split rope.
#include "runtime/models/blocks.h"
#include "runtime/models/key_reader.h"

namespace strata {
namespace {

constexpr TensorRule kTensors[] = {
    STRATA_ATTENTION_TENSORS,
    STRATA_FFN_TENSORS,
    STRATA_QKV_BIASES(true),
};

void configure(const KeyReader&, ModelConfig& config) { config.rope.style = RopeStyle::half_split; }

Value attention(GraphBuilder& g, const ModelConfig& c, Value x, const KvPages& kv) {
  const Value h = g.rms_norm(x, g.weight("attn_norm.weight"), c.norm_eps);
  const Value q = project(g, h, "attn_q");  // (tokens, heads * head_dim)
  const Value k = project(g, h, "attn_k");  // (tokens, kv_heads * head_dim)
  const Value v = project(g, h, "attn_v");
  return g.add(x, attend(g, c, q, k, v, kv));
}

Value feed_forward(GraphBuilder& g, const ModelConfig& c, Value x) {
  const Value h = g.rms_norm(x, g.weight("ffn_norm.weight"), c.norm_eps);
  return g.add(x, swiglu_ffn(g, h));
}

}  // namespace

extern const Architecture kQwen2{"qwen2",  "Qwen2 and Qwen2.5", configure,
                                 kTensors, attention,           feed_forward};

}  // namespace strata
