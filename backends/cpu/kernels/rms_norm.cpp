#include <math.h>

#include "backends/cpu/kernels/simd.h"

namespace strata::cpu::STRATA_ISA {

// 64 partial sums, so that the rounding error grows with n / 64; then the rest, zero-padded.
static float sum_of_squares(const float* x, std::int64_t n) {
  F32x16 sums[4] = {set16(0.0F), set16(0.0F), set16(0.0F), set16(0.0F)};
  std::int64_t i = 0;
  for (; i + 64 <= n; i += 64) {
    for (int j = 0; j < 4; ++j) {
      const F32x16 v = load16(x + i + 16 * j);
      sums[j] = fma16(v, v, sums[j]);
    }
  }
  for (int j = 0; i < n; i += 16, ++j) {
    const F32x16 v = n - i >= 16 ? load16(x + i) : load16_part(x + i, n - i);
    sums[j] = fma16(v, v, sums[j]);
  }
  return sum16(add16(add16(sums[0], sums[1]), add16(sums[2], sums[3])));
}

// out = x / sqrt(mean(x^2) + eps) * w for each of `groups` runs of n; w (n) is shared by them.
void rms_norm(const float* x, const float* w, float* out, std::int64_t groups, std::int64_t n,
              float eps) {
  for (std::int64_t g = 0; g < groups; ++g, x += n, out += n) {
    const float scale = 1.0F / sqrtf(sum_of_squares(x, n) / static_cast<float>(n) + eps);
    const F32x16 scales = set16(scale);
    std::int64_t i = 0;
    for (; i + 16 <= n; i += 16)
      store16(out + i, mul16(mul16(load16(x + i), scales), load16(w + i)));
    for (; i < n; ++i) out[i] = x[i] * scale * w[i];
  }
}

}  // namespace strata::cpu::STRATA_ISA
