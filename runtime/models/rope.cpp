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
  const double low = std::max(std::floor(correction_dim(rope, rope.beta_fast)), 0.0);
  const double high =
      std::min(std::ceil(correction_dim(rope, rope.beta_slow)), double(rope.rot_dim) - 1.0);
  const double ramp = (pair - low) / std::max(high - low, 0.001);
  return 1.0 - std::clamp(ramp, 0.0, 1.0);
}

}  // namespace

RopeStyle llama_rope_style(WeightOrder order) {
  return order == WeightOrder::gguf ? RopeStyle::interleaved : RopeStyle::half_split;
}

std::vector<float> inverse_frequencies(const RopeConfig& rope, const std::vector<float>& factors) {
  std::vector<float> result;
  for (int pair = 0; pair < rope.rot_dim / 2; ++pair) {
    double frequency = std::pow(rope.base, -2.0 * pair / rope.rot_dim);
    if (!factors.empty()) frequency /= factors[static_cast<std::size_t>(pair)];
    if (rope.scaling == RopeScaling::linear) frequency /= rope.factor;
    if (rope.scaling == RopeScaling::yarn) {
      const double keep = yarn_keep(rope, pair);
      frequency = frequency * keep + frequency / rope.factor * (1.0 - keep);
    }
    result.push_back(static_cast<float>(frequency));
  }
  return result;
}

float rope_magnitude(const RopeConfig& rope) {
  if (rope.scaling != RopeScaling::yarn) return 1.0F;
  return static_cast<float>(rope.attention_factor * (1.0 + 0.1 * std::log(rope.factor)));
}

}  // namespace strata
