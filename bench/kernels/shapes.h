#pragma once

#include <cstdint>
#include <string_view>

namespace strata::bench {

/// A weight of a model: w (n, k), or (experts, n, k) of which a token uses `used`.
struct WeightShape {
  std::string_view model;
  std::string_view name;
  std::int64_t n;
  std::int64_t k;
  std::int32_t experts = 0;
  std::int32_t used = 0;
};

inline constexpr WeightShape kWeightShapes[] = {
    {"llama-8b", "attn_q", 4096, 4096},
    {"llama-8b", "attn_k", 1024, 4096},
    {"llama-8b", "ffn_up", 14336, 4096},
    {"llama-8b", "ffn_down", 4096, 14336},
    {"llama-8b", "output", 128256, 4096},
    {"qwen3-0.6b", "attn_q", 2048, 1024},
    {"qwen3-0.6b", "attn_k", 1024, 1024},
    {"qwen3-0.6b", "attn_output", 1024, 2048},
    {"qwen3-0.6b", "ffn_up", 3072, 1024},
    {"qwen3-0.6b", "ffn_down", 1024, 3072},
    {"qwen3-0.6b", "output", 151936, 1024},
    {"qwen3-30b-a3b", "attn_q", 4096, 2048},
    {"qwen3-30b-a3b", "attn_k", 512, 2048},
    {"qwen3-30b-a3b", "attn_output", 2048, 4096},
    {"qwen3-30b-a3b", "ffn_up_exps", 768, 2048, 128, 8},
    {"qwen3-30b-a3b", "ffn_down_exps", 2048, 768, 128, 8},
};

struct AttentionShape {
  std::string_view model;
  std::int32_t heads;
  std::int32_t kv_heads;
  std::int32_t head_dim;
};

inline constexpr AttentionShape kAttentionShapes[] = {
    {"llama-8b", 32, 8, 128},
    {"qwen3-0.6b", 16, 8, 128},
    {"qwen3-30b-a3b", 32, 4, 128},
};

}  // namespace strata::bench
