// Mixtral (Jiang et al. 2024): Mistral with experts. GGUF calls it `llama` with expert_count > 0.
#include "runtime/models/blocks.h"
#include "runtime/models/key_reader.h"

namespace strata {
namespace {

constexpr TensorRule kTensors[] = {
    STRATA_ATTENTION_TENSORS,
    STRATA_EXPERT_TENSORS("block_sparse_moe.gate.weight", "block_sparse_moe.experts.*.w1.weight",
                          "block_sparse_moe.experts.*.w3.weight",
                          "block_sparse_moe.experts.*.w2.weight"),
};

void configure(const KeyReader& keys, ModelConfig& config) {
  config.rope.style = llama_rope_style(keys.order());
}

Value attention(GraphBuilder& g, const ModelConfig& c, Value x, const KvPages& kv) {
  const Value h = g.rms_norm(x, g.weight("attn_norm.weight"), c.norm_eps);
  const Value q = project(g, h, "attn_q");  // (tokens, heads * head_dim)
  const Value k = project(g, h, "attn_k");  // (tokens, kv_heads * head_dim)
  const Value v = project(g, h, "attn_v");
  return g.add(x, attend(g, c, q, k, v, kv));
}

Value feed_forward(GraphBuilder& g, const ModelConfig& c, Value x) {
  const Value h = g.rms_norm(x, g.weight("ffn_norm.weight"), c.norm_eps);
  return g.add(x, moe_ffn(g, c, h));
}

}  // namespace

extern const Architecture kMixtral{"mixtral", "Mixtral and other Llama-shaped expert models",
                                   configure, kTensors,
                                   attention, feed_forward};

}  // namespace strata
