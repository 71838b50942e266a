#pragma once

#include "backends/cpu/kernels/simd.h"

namespace strata::cpu::STRATA_ISA {

// One register's share of a F32x16, in the compiler's vector notation.
typedef float F32Part __attribute__((vector_size(kLanes * 4)));
typedef std::int32_t I32Part __attribute__((vector_size(kLanes * 4)));
static constexpr int kParts = static_cast<int>(kWide) / kLanes;

struct F32Parts {
  F32Part v[kParts];
};
static_assert(sizeof(F32Parts) == sizeof(F32x16));

static inline F32Parts parts_of(const F32x16& x) {
  F32Parts parts;
  __builtin_memcpy(&parts, &x, sizeof(parts));
  return parts;
}

static inline F32x16 whole_of(const F32Parts& parts) {
  F32x16 x;
  __builtin_memcpy(&x, &parts, sizeof(x));
  return x;
}

static inline F32Part fma_part(F32Part a, F32Part b, F32Part c) {
#if defined(__AVX512F__)
  return _mm512_fmadd_ps(a, b, c);
#elif defined(__AVX2__)
  return _mm256_fmadd_ps(a, b, c);
#elif defined(__ARM_NEON)
  return vfmaq_f32(c, a, b);
#else
  return a * b + c;
#endif
}

static inline F32Part set_part(float x) { return F32Part{} + x; }

// exp(x) = 2^n * exp(r), n = round(x / ln 2), |r| <= ln 2 / 2. ln 2 is cut into a part of 15 bits,
// whose product with n is exact, and the rest. exp(r) is its Taylor series up to r^7 / 7!, whose
// remainder is below 2^-27. 2^n is applied in two halves, so that results may be denormal.
static inline F32Part exp_part(F32Part x) {
  const F32Part low = set_part(-104.0F);        // its exponential rounds to zero
  const F32Part high = set_part(89.0F);         // and to infinity
  const F32Part magic = set_part(12582912.0F);  // 1.5 * 2^23: adding it rounds to an integer
#if defined(__AVX512F__)
  x = _mm512_min_ps(high, _mm512_max_ps(low, x));  // the second operand where one is NaN
#else
  x = x < low ? low : x;  // comparisons with NaN are false: NaN stays
  x = x > high ? high : x;
#endif
  const F32Part shifted = fma_part(x, set_part(1.44269504F), magic);
  const F32Part n = shifted - magic;
  F32Part r = fma_part(n, set_part(-0.693145752F), x);
  r = fma_part(n, set_part(-1.42860677e-6F), r);
  F32Part q = set_part(1.0F / 5040);
  q = fma_part(q, r, set_part(1.0F / 720));
  q = fma_part(q, r, set_part(1.0F / 120));
  q = fma_part(q, r, set_part(1.0F / 24));
  q = fma_part(q, r, set_part(1.0F / 6));
  q = fma_part(q, r, set_part(0.5F));
  q = fma_part(q, r * r, r) + 1.0F;
#if defined(__AVX512F__)
  return _mm512_scalef_ps(q, n);  // rounds once, as the two halves do
#else
  const I32Part exponent = (I32Part)shifted - (I32Part)magic;
  const I32Part half = exponent >> 1;
  const F32Part first = (F32Part)((half + 127) << 23);
  const F32Part second = (F32Part)((exponent - half + 127) << 23);
  return q * first * second;
#endif
}

/// e to the power of each lane, within two units in the last place; infinity and NaN as in expf.
static inline F32x16 exp16(const F32x16& x) {
  F32Parts parts = parts_of(x);
  for (int i = 0; i < kParts; ++i) parts.v[i] = exp_part(parts.v[i]);
  return whole_of(parts);
}

/// silu(gate) * up.
static inline F32x16 silu_times(const F32x16& gate, const F32x16& up) {
  F32Parts r = parts_of(gate);
  for (int i = 0; i < kParts; ++i) r.v[i] = r.v[i] / (exp_part(-r.v[i]) + 1.0F);
  return mul16(whole_of(r), up);
}

/// The first `count` <= 16 lanes to p.
static inline void store16_part(float* p, const F32x16& x, std::int64_t count) {
  float values[kWide];
  store16(values, x);
  for (std::int64_t i = 0; i < count; ++i) p[i] = values[i];
}

/// load16, or load16_part where less than 16 are left.
static inline F32x16 load16_left(const float* p, std::int64_t left) {
  return left >= kWide ? load16(p) : load16_part(p, left);
}

static inline void store16_left(float* p, const F32x16& x, std::int64_t left) {
  if (left >= kWide)
    store16(p, x);
  else
    store16_part(p, x, left);
}

}  // namespace strata::cpu::STRATA_ISA
