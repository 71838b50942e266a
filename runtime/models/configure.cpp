#include "runtime/models/configure.h"

#include <fmt/format.h>

#include <limits>

#include "runtime/core/error.h"
#include "runtime/models/hf_config.h"

namespace strata {
namespace {

// Far above any model, far below what could overflow a product of three.
constexpr std::int64_t kMaxLayers = 4096;
constexpr std::int64_t kMaxWidth = 1 << 20;
constexpr std::int64_t kMaxContext = 1 << 28;
constexpr std::int64_t kMaxExperts = 1 << 16;

void read_attention(const KeyReader& keys, ModelConfig& c) {
  c.heads = keys.find_uniform("attention.head_count", c.layers, 1, 1 << 16).value_or(0);
  if (c.heads == 0) keys.fail("attention.head_count", "is missing");
  c.kv_heads = keys.find_uniform("attention.head_count_kv", c.layers, 1, 1 << 16).value_or(c.heads);
  if (c.heads % c.kv_heads != 0)
    keys.fail("attention.head_count_kv",
              fmt::format("is {}, which does not divide the {} heads", c.kv_heads, c.heads));
  if (!keys.has("attention.key_length") && c.dim % c.heads != 0)
    keys.fail("attention.head_count",
              fmt::format("is {}, which does not divide the width {}", c.heads, c.dim));
  c.head_dim = keys.find("attention.key_length", 1, 1 << 14).value_or(c.dim / c.heads);
  const std::int64_t value_dim =
      keys.find("attention.value_length", 1, 1 << 14).value_or(c.head_dim);
  if (value_dim != c.head_dim)
    keys.fail("attention.value_length",
              fmt::format("is {}, but keys have {}; only equal lengths are supported", value_dim,
                          c.head_dim));
  c.norm_eps =
      static_cast<float>(keys.number("attention.layer_norm_rms_epsilon", -1.0, 1e-12, 1.0));
  if (c.norm_eps < 0) keys.fail("attention.layer_norm_rms_epsilon", "is missing");
}

RopeScaling read_scaling_type(const KeyReader& keys) {
  // A factor without a type is linear: so old files say it, and so llama.cpp reads them.
  const bool factor = keys.has("rope.scaling.factor") || keys.has("rope.scale_linear");
  const std::string_view type = keys.text("rope.scaling.type").value_or(factor ? "linear" : "none");
  if (type == "none") return RopeScaling::none;
  if (type == "linear") return RopeScaling::linear;
  if (type == "yarn") return RopeScaling::yarn;
  throw Error(ErrorCode::unsupported_model, keys.metadata().file(),
              fmt::format("key {}: rope scaling \"{}\" is not supported for architecture \"{}\"",
                          keys.key("rope.scaling.type"), type, keys.architecture()),
              "supported are none, linear, yarn and Llama 3's rope_freqs.weight");
}

void read_rope(const KeyReader& keys, ModelConfig& c) {
  RopeConfig& rope = c.rope;
  const std::int64_t rot_dim =
      keys.find("rope.dimension_count", 2, c.head_dim).value_or(c.head_dim);
  if (rot_dim % 2 != 0)
    keys.fail("rope.dimension_count", fmt::format("is {}, which is odd", rot_dim));
  rope.rot_dim = static_cast<std::int32_t>(rot_dim);
  if (keys.order() == WeightOrder::hugging_face) return read_hf_rope(keys, c);
  rope.base = keys.number("rope.freq_base", 10000.0, 1.0 + 1e-6, 1e18);
  rope.scaling = read_scaling_type(keys);
  if (rope.scaling == RopeScaling::none) return;
  rope.factor = keys.number("rope.scaling.factor", keys.number("rope.scale_linear", 1.0, 1e-3, 1e6),
                            1e-3, 1e6);
  if (rope.scaling != RopeScaling::yarn) return;
  rope.original_context =
      keys.find("rope.scaling.original_context_length", 1, kMaxContext).value_or(c.context);
  rope.attention_factor = keys.number("rope.scaling.attn_factor", 1.0, 1e-3, 1e3);
  rope.beta_fast = keys.number("rope.scaling.yarn_beta_fast", 32.0, 1e-3, 1e6);
  rope.beta_slow = keys.number("rope.scaling.yarn_beta_slow", 1.0, 1e-3, 1e6);
}

void read_experts(const KeyReader& keys, ModelConfig& c) {
  c.experts = keys.find("expert_count", 0, kMaxExperts).value_or(0);
  if (c.experts == 0) return;
  c.experts_used = keys.require("expert_used_count", 1, c.experts);
  c.expert_ffn_dim = keys.find("expert_feed_forward_length", 1, kMaxWidth).value_or(c.ffn_dim);
  if (c.expert_ffn_dim == 0) keys.fail("expert_feed_forward_length", "is missing");
}

}  // namespace

ModelConfig read_config(const Architecture& architecture, const KeyReader& keys) {
  ModelConfig c;
  c.architecture = keys.architecture();
  c.name = keys.metadata().find_string("general.name").value_or("");
  c.layers = keys.require("block_count", 1, kMaxLayers);
  c.context = keys.require("context_length", 1, kMaxContext);
  c.dim = keys.require("embedding_length", 1, kMaxWidth);
  c.ffn_dim = keys.find_uniform("feed_forward_length", c.layers, 0, kMaxWidth).value_or(0);
  read_experts(keys, c);
  if (c.ffn_dim == 0 && c.experts == 0) keys.fail("feed_forward_length", "is missing or 0");
  read_attention(keys, c);
  read_rope(keys, c);
  if (keys.order() == WeightOrder::hugging_face) c.window = read_hf_window(keys, c.layers);
  architecture.configure(keys, c);
  return c;
}

}  // namespace strata
