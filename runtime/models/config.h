#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "runtime/ops/ops.h"

namespace strata {

enum class RopeScaling : std::uint8_t { none, linear, yarn, llama3 };

/// Everything that fixes the rotary embedding. Names follow GGUF's `rope.*` keys.
struct RopeConfig {
  RopeStyle style = RopeStyle::half_split;
  std::int32_t rot_dim = 0;
  double base = 10000.0;
  RopeScaling scaling = RopeScaling::none;
  double factor = 1.0;                ///< context extension, >= 1 unless `none`
  std::int64_t original_context = 0;  ///< yarn, llama3: the context that the model was trained with
  double attention_factor = 1.0;      ///< yarn: multiplies the magnitude
  double beta_fast = 32.0;
  double beta_slow = 1.0;
  bool truncate = true;           ///< yarn: the ramp begins and ends at whole pairs
  double low_freq_factor = 1.0;   ///< llama3: waves that turn fewer times are slowed by `factor`
  double high_freq_factor = 4.0;  ///< llama3: waves that turn more often are kept
};

/// Hyper-parameters of a model, validated: every number is in range and they agree with each other.
struct ModelConfig {
  std::string architecture;  ///< general.architecture
  std::string name;          ///< general.name, may be empty
  std::int64_t layers = 0;
  std::int64_t context = 0;  ///< trained context, tokens
  std::int64_t dim = 0;
  std::int64_t ffn_dim = 0;
  std::int64_t heads = 0;
  std::int64_t kv_heads = 0;
  std::int64_t head_dim = 0;
  std::int64_t vocab = 0;
  std::int64_t experts = 0;  ///< 0: a dense model
  std::int64_t experts_used = 0;
  std::int64_t expert_ffn_dim = 0;
  float norm_eps = 0;
  std::int64_t window =
      0;  ///< positions that a token attends to, itself included; 0: all before it
  RopeConfig rope;

  std::int64_t q_width() const { return heads * head_dim; }
  std::int64_t kv_width() const { return kv_heads * head_dim; }
};

/// Who wrote the weights. GGUF's converter permutes the Q and K rows of `llama` models so that
/// rope turns neighbouring pairs; Hugging Face files keep halves. This is the one place that knows.
enum class WeightOrder : std::uint8_t { gguf, hugging_face };
RopeStyle llama_rope_style(WeightOrder order);

/// Inverse frequencies of the rotary embedding, one per pair (rot_dim / 2), with linear or YaRN
/// scaling (Peng et al. 2023) applied, and that of Llama 3.1, either from its parameters or as the
/// per-frequency `factors` of GGUF files (empty: none).
/// Rounded to f32 at each step where the models' own code (transformers) rounds: a position of
/// thousands multiplies every last bit into an angle that moves logits by more than 1e-5.
std::vector<float> inverse_frequencies(const RopeConfig& rope, const std::vector<float>& factors);

/// What cos and sin are multiplied by: YaRN's attention factor, else 1.
float rope_magnitude(const RopeConfig& rope);

}  // namespace strata
