#pragma once

#include "runtime/models/architecture.h"

namespace strata {

/// y = x w^T + b for the weight "NAME.weight" and, where the model has it, "NAME.bias".
Value project(GraphBuilder& g, Value x, std::string_view name);

/// Rope on q and k, append k and v to the pages, attend, project with "attn_output".
/// q: (tokens, heads * head_dim), k and v: (tokens, kv_heads * head_dim) -> (tokens, dim).
Value attend(GraphBuilder& g, const ModelConfig& c, Value q, Value k, Value v, const KvPages& kv);

/// down(silu(gate(x)) * up(x)): the feed-forward network of Llama. (tokens, dim).
Value swiglu_ffn(GraphBuilder& g, Value x);

/// The same with experts: each token goes to the `experts_used` best, whose outputs are summed with
/// softmax weights that are made to sum to 1 (Mixtral, Jiang et al. 2024). (tokens, dim).
Value moe_ffn(GraphBuilder& g, const ModelConfig& c, Value x);

// Tensors that several architectures share, as rows of their tables.
#define STRATA_ATTENTION_TENSORS                                                                  \
  {"attn_norm.weight", "input_layernorm.weight", {Dim::dim}},                                     \
      {"attn_q.weight", "self_attn.q_proj.weight", {Dim::q_width, Dim::dim}, Split::rows},        \
      {"attn_k.weight", "self_attn.k_proj.weight", {Dim::kv_width, Dim::dim}, Split::rows},       \
      {"attn_v.weight", "self_attn.v_proj.weight", {Dim::kv_width, Dim::dim}, Split::rows},       \
      {"attn_output.weight", "self_attn.o_proj.weight", {Dim::dim, Dim::q_width}, Split::cols}, { \
    "ffn_norm.weight", "post_attention_layernorm.weight", { Dim::dim }                            \
  }
#define STRATA_QKV_BIASES(required)                                                       \
  {"attn_q.bias", "self_attn.q_proj.bias", {Dim::q_width}, Split::rows, required},        \
      {"attn_k.bias", "self_attn.k_proj.bias", {Dim::kv_width}, Split::rows, required}, { \
    "attn_v.bias", "self_attn.v_proj.bias", {Dim::kv_width}, Split::rows, required        \
  }
#define STRATA_QK_NORMS                                                 \
  {"attn_q_norm.weight", "self_attn.q_norm.weight", {Dim::head_dim}}, { \
    "attn_k_norm.weight", "self_attn.k_norm.weight", { Dim::head_dim }  \
  }
#define STRATA_FFN_TENSORS                                                              \
  {"ffn_gate.weight", "mlp.gate_proj.weight", {Dim::ffn_dim, Dim::dim}, Split::rows},   \
      {"ffn_up.weight", "mlp.up_proj.weight", {Dim::ffn_dim, Dim::dim}, Split::rows}, { \
    "ffn_down.weight", "mlp.down_proj.weight", {Dim::dim, Dim::ffn_dim}, Split::cols    \
  }
#define STRATA_EXPERT_TENSORS(router, gate, up, down)                                         \
  {                                                                                           \
      "ffn_gate_inp.weight", router, {Dim::experts, Dim::dim},                                \
      Split::none,           true,   {"mlp.gate.weight"}},                                    \
      {"ffn_gate_exps.weight",                                                                \
       gate,                                                                                  \
       {Dim::experts, Dim::expert_ffn_dim, Dim::dim},                                         \
       Split::rows,                                                                           \
       true,                                                                                  \
       {"mlp.experts.gate_up_proj", 0, 2}},                                                   \
      {"ffn_up_exps.weight", up,   {Dim::experts, Dim::expert_ffn_dim, Dim::dim},             \
       Split::rows,          true, {"mlp.experts.gate_up_proj", 1, 2}},                       \
  {                                                                                           \
    "ffn_down_exps.weight", down, {Dim::experts, Dim::dim, Dim::expert_ffn_dim}, Split::cols, \
        true, {"mlp.experts.down_proj"}                                                       \
  }

}  // namespace strata
