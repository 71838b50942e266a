// Llama (Touvron et al. 2023; Llama 2, 3, 3.1-3.3) and Mistral (Jiang et al. 2023): pre-norm,
// grouped queries, rope, SwiGLU. Llama 3.1's rope scaling comes as the tensor rope_freqs.weight.
#include "runtime/models/blocks.h"
#include "runtime/models/key_reader.h"

namespace strata {
namespace {

constexpr TensorRule kTensors[] = {
    STRATA_ATTENTION_TENSORS,
    STRATA_FFN_TENSORS,
    STRATA_QKV_BIASES(false),
    {"attn_output.bias", "self_attn.o_proj.bias", {Dim::dim}, Split::none, false},
    {"ffn_gate.bias", "mlp.gate_proj.bias", {Dim::ffn_dim}, Split::rows, false},
    {"ffn_up.bias", "mlp.up_proj.bias", {Dim::ffn_dim}, Split::rows, false},
    {"ffn_down.bias", "mlp.down_proj.bias", {Dim::dim}, Split::none, false},
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
  return g.add(x, swiglu_ffn(g, h));
}

}  // namespace

extern const Architecture kLlama{"llama",   "Llama 2, Llama 3.x, Mistral and models of their shape",
                                 configure, kTensors,
                                 attention, feed_forward};

}  // namespace strata
