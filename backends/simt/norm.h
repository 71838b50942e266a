#pragma once

#include "backends/simt/reduce.h"
#include "platform.h"

namespace strata::STRATA_SIMT {

/// 1 / sqrt(mean of x^2 + eps).
STRATA_DEVICE float norm_scale(float sum_of_squares, int n, float eps) {
  return 1.0F / sqrt_of(sum_of_squares / static_cast<float>(n) + eps);
}

/// The same of a head x (n), by the lanes of one warp, which all call it.
STRATA_DEVICE float head_norm_scale(const float* x, int n, float eps) {
  float sum = 0.0F;
  for (int i = lane(); i < n; i += lane_count()) sum = fma_of(x[i], x[i], sum);
  return norm_scale(warp_sum(sum), n, eps);
}

}  // namespace strata::STRATA_SIMT
