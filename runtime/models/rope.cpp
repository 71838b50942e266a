#include <algorithm>
#include <cmath>
#include <numbers>

#include "runtime/models/config.h"

namespace strata {
namespace {

// The dimension whose wave turns `rotations` times over the original context (YaRN, section 3.2).
double correction_dim(const RopeConfig& rope, double rotations) {
  return rope.rot_dim *
         std::log(static_cast<double>(rope.original_context) /
                  (rotations * 2.0 * std::numbers::pi)) /
         (2.0 * std::log(rope.base));
}

// 1 where a frequency is kept as it is (extrapolated), 0 where it is divided by the factor.
double yarn_keep(const RopeConfig& rope, int pair) {
  const double first = correction_dim(rope, rope.beta_fast);
  const double last = correction_dim(rope, rope.beta_slow);
  const double low = std::max(rope.truncate ? std::floor(first) : first, 0.0);
  const double high = std::min(rope.truncate ? std::ceil(last) : last, double(rope.rot_dim) - 1.0);
  const double ramp = (pair - low) / std::max(high - low, 0.001);
  return 1.0 - std::clamp(ramp, 0.0, 1.0);
}

// Llama 3.1: waves that turn often within the original context are kept, those that hardly turn
// are slowed, and those between are blended. In f32, as transformers computes it.
float llama3_frequency(const RopeConfig& rope, float frequency) {
  const auto context = static_cast<float>(rope.original_context);
  const auto low = static_cast<float>(rope.low_freq_factor);
  const auto high = static_cast<float>(rope.high_freq_factor);
  const auto factor = static_cast<float>(rope.factor);
  const float wave = static_cast<float>(2.0 * std::numbers::pi) / frequency;
  if (wave < context / high) return frequency;
  if (wave > context / low) return frequency / factor;
  const float smooth = (context / wave - low) / (high - low);
  return (1.0F - smooth) * frequency / factor + smooth * frequency;
}

}  // namespace

RopeStyle llama_rope_style(WeightOrder order) {
  return order == WeightOrder::gguf ? RopeStyle::interleaved : RopeStyle::half_split;
}

std::vector<float> inverse_frequencies(const RopeConfig& rope, const std::vector<float>& factors) {
  std::vector<float> result;
  const auto scale = static_cast<float>(rope.factor);
  for (int pair = 0; pair < rope.rot_dim / 2; ++pair) {
    const float exponent = 2.0F * static_cast<float>(pair) / static_cast<float>(rope.rot_dim);
    auto wave = static_cast<float>(std::pow(rope.base, static_cast<double>(exponent)));
    if (!factors.empty()) wave *= factors[static_cast<std::size_t>(pair)];
    float frequency = 1.0F / wave;
    if (rope.scaling == RopeScaling::linear) frequency /= scale;
    if (rope.scaling == RopeScaling::yarn) {
      const auto keep = static_cast<float>(yarn_keep(rope, pair));
      frequency = 1.0F / (scale * wave) * (1.0F - keep) + frequency * keep;
    }
    if (rope.scaling == RopeScaling::llama3) frequency = llama3_frequency(rope, frequency);
    result.push_back(frequency);
  }
  return result;
}

float rope_magnitude(const RopeConfig& rope) {
  if (rope.scaling != RopeScaling::yarn) return 1.0F;
  // A context that is not stretched needs no colder softmax: no factor below 1 cools it.
  const double stretch = std::max(rope.factor, 1.0);
  return static_cast<float>(rope.attention_factor * (1.0 + 0.1 * std::log(stretch)));
}

}  // namespace strata
