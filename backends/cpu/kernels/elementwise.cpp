#include "backends/cpu/kernels/exp16.h"

namespace strata::cpu::STRATA_ISA {

void add_rows(const float* a, const float* b, float* out, std::int64_t n) {
  std::int64_t i = 0;
  for (; i + kWide <= n; i += kWide) store16(out + i, add16(load16(a + i), load16(b + i)));
  for (; i < n; ++i) out[i] = a[i] + b[i];
}

// out = gate / (1 + exp(-gate)) * up. Lanes do not depend on each other: n may cut a row anywhere.
void swiglu(const float* gate, const float* up, float* out, std::int64_t n) {
  for (std::int64_t i = 0; i < n; i += kWide) {
    const std::int64_t left = n - i;
    store16_left(out + i, silu_times(load16_left(gate + i, left), load16_left(up + i, left)), left);
  }
}

// out (n) = sum over c, ascending, of weights[c] * the row at y + c * y_stride (bytes).
void weighted_sum(const std::byte* y, std::int64_t y_stride, const float* weights,
                  std::int64_t count, float* out, std::int64_t n) {
  for (std::int64_t i = 0; i < n; i += kWide) {
    F32x16 total = set16(0.0F);
    for (std::int64_t c = 0; c < count; ++c) {
      const float* row = reinterpret_cast<const float*>(y + c * y_stride) + i;
      total = fma16(set16(weights[c]), load16_left(row, n - i), total);
    }
    store16_left(out + i, total, n - i);
  }
}

}  // namespace strata::cpu::STRATA_ISA
