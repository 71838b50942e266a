#pragma once

#include <cmath>
#include <limits>
#include <vector>

#include "runtime/core/error.h"
#include "runtime/text/sampler.h"

namespace strata::text {

inline constexpr float kInfinity = std::numeric_limits<float>::infinity();

/// Everything off, temperature 1: the distribution is the softmax.
inline SamplingParameters plain() {
  SamplingParameters p;
  p.temperature = 1;
  p.top_k = 0;
  p.top_p = 1;
  p.min_p = 0;
  return p;
}

/// Logits whose softmax is the given distribution.
inline std::vector<float> logits_of(const std::vector<double>& probabilities) {
  std::vector<float> result;
  for (double p : probabilities) result.push_back(static_cast<float>(std::log(p)));
  return result;
}

/// The Error that `call` throws; one about "nothing" if it throws none.
template <class Call>
Error error_of(Call call) {
  try {
    call();
  } catch (const Error& error) {
    return error;
  }
  return Error(ErrorCode::runtime, "nothing", "was thrown");
}

}  // namespace strata::text
