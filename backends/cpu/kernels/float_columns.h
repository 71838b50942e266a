#pragma once

// How the float matmuls read columns and add their products: one step takes as many columns of a
// row of w and of a row of x as fill 16 lanes of sums.

#include "backends/cpu/kernels/simd.h"

namespace strata::cpu::STRATA_ISA {

/// What is multiplied. A step is 16 columns, column c in lane c % 16; of bf16_by_bf16 it is 32,
/// column c in lane c / 2 % 16.
enum class FloatKind : std::uint8_t {
  f32_by_f32,    ///< w f32, x f32
  f16_by_f32,    ///< w f16, widened exactly; x f32
  bf16_by_bf16,  ///< w bf16, x bf16; products and sums in f32
};

static constexpr int step_columns(FloatKind kind) {
  return kind == FloatKind::bf16_by_bf16 ? 32 : 16;
}
static constexpr int w_bytes(FloatKind kind) { return kind == FloatKind::f32_by_f32 ? 4 : 2; }
static constexpr int x_bytes(FloatKind kind) { return kind == FloatKind::bf16_by_bf16 ? 2 : 4; }

/// 32 bf16 columns as the instruction set multiplies them. Where it has no such instruction: the
/// even and the odd columns, widened, whose products are added in this order by two FMAs. Where it
/// has one, sums and operands below 2^-126 count as zero (docs/decisions.md).
#if defined(__AVX512BF16__)
struct Bf16x32 {
  __m512bh v;
};
static inline Bf16x32 load32_bf16(const std::byte* p) {
  return {reinterpret_cast<__m512bh>(_mm512_loadu_si512(p))};
}
static inline F32x16 dot16(const Bf16x32& a, const Bf16x32& b, const F32x16& sum) {
  return {_mm512_dpbf16_ps(sum.v, a.v, b.v)};
}
#elif defined(__ARM_FEATURE_BF16_VECTOR_ARITHMETIC)
struct Bf16x32 {
  bfloat16x8_t v[4];
};
static inline Bf16x32 load32_bf16(const std::byte* p) {
  Bf16x32 a;
  for (int i = 0; i < 4; ++i)
    a.v[i] = vreinterpretq_bf16_u8(vld1q_u8(reinterpret_cast<const std::uint8_t*>(p) + 16 * i));
  return a;
}
static inline F32x16 dot16(const Bf16x32& a, const Bf16x32& b, F32x16 sum) {
  for (int i = 0; i < 4; ++i) sum.v[i] = vbfdotq_f32(sum.v[i], a.v[i], b.v[i]);
  return sum;
}
#else
struct Bf16x32 {
  F32x16 even, odd;
};
#if defined(__AVX512F__)
static inline Bf16x32 load32_bf16(const std::byte* p) {
  const __m512i both = _mm512_loadu_si512(p);
  const __m512i high = _mm512_set1_epi32(static_cast<int>(0xffff0000u));
  return {{_mm512_castsi512_ps(_mm512_slli_epi32(both, 16))},
          {_mm512_castsi512_ps(_mm512_and_si512(both, high))}};
}
#else
typedef std::uint32_t U32Pairs __attribute__((vector_size(kLanes * 4)));
static inline Bf16x32 load32_bf16(const std::byte* p) {
  Bf16x32 a;
  for (int i = 0; i < kWide / kLanes; ++i) {
    U32Pairs both;
    __builtin_memcpy(&both, p + i * kLanes * 4, sizeof(both));
    const U32Pairs even = both << 16;
    const U32Pairs odd = both & 0xffff0000u;
    __builtin_memcpy(reinterpret_cast<char*>(&a.even) + i * kLanes * 4, &even, sizeof(even));
    __builtin_memcpy(reinterpret_cast<char*>(&a.odd) + i * kLanes * 4, &odd, sizeof(odd));
  }
  return a;
}
#endif
static inline F32x16 dot16(const Bf16x32& a, const Bf16x32& b, const F32x16& sum) {
  return fma16(a.odd, b.odd, fma16(a.even, b.even, sum));
}
#endif

static inline F32x16 dot16(const F32x16& a, const F32x16& b, const F32x16& sum) {
  return fma16(a, b, sum);
}

/// A step's columns of w, and of x.
template <FloatKind Kind>
static inline auto load_w(const std::byte* p) {
  if constexpr (Kind == FloatKind::f32_by_f32)
    return load16(reinterpret_cast<const float*>(p));
  else if constexpr (Kind == FloatKind::f16_by_f32)
    return load16_f16(reinterpret_cast<const std::uint16_t*>(p));
  else
    return load32_bf16(p);
}

template <FloatKind Kind>
static inline auto load_x(const std::byte* p) {
  if constexpr (Kind == FloatKind::bf16_by_bf16)
    return load32_bf16(p);
  else
    return load16(reinterpret_cast<const float*>(p));
}

/// The sums of the lanes of `count` <= 4 vectors, each by the tree of sum16. Four are summed at
/// once: with fewer, what `a` holds beyond them is not used.
static inline void store_sums(const F32x16* a, int count, float* out) {
  const F32x16& a1 = a[count > 1 ? 1 : 0];
  const F32x16& a2 = a[count > 2 ? 2 : 0];
  const F32x16& a3 = a[count > 3 ? 3 : 0];
  float sums[4];
#if defined(__AVX512F__)
  const __m512 low = _mm512_add_ps(_mm512_shuffle_f32x4(a[0].v, a1.v, 0x44),
                                   _mm512_shuffle_f32x4(a[0].v, a1.v, 0xee));
  const __m512 high =
      _mm512_add_ps(_mm512_shuffle_f32x4(a2.v, a3.v, 0x44), _mm512_shuffle_f32x4(a2.v, a3.v, 0xee));
  const __m512 fours =
      _mm512_add_ps(_mm512_shuffle_f32x4(low, high, 0x88), _mm512_shuffle_f32x4(low, high, 0xdd));
  const __m512 twos = _mm512_add_ps(fours, _mm512_permute_ps(fours, 0x4e));
  const __m512 ones = _mm512_add_ps(twos, _mm512_permute_ps(twos, 0xb1));
  _mm_storeu_ps(sums, _mm512_castps512_ps128(_mm512_maskz_compress_ps(0x1111, ones)));
#elif defined(__AVX2__)
  const __m256 b0 = _mm256_add_ps(a[0].lo, a[0].hi);
  const __m256 b1 = _mm256_add_ps(a1.lo, a1.hi);
  const __m256 b2 = _mm256_add_ps(a2.lo, a2.hi);
  const __m256 b3 = _mm256_add_ps(a3.lo, a3.hi);
  const __m256 low =
      _mm256_add_ps(_mm256_permute2f128_ps(b0, b2, 0x20), _mm256_permute2f128_ps(b0, b2, 0x31));
  const __m256 high =
      _mm256_add_ps(_mm256_permute2f128_ps(b1, b3, 0x20), _mm256_permute2f128_ps(b1, b3, 0x31));
  const __m256 twos =
      _mm256_add_ps(_mm256_shuffle_ps(low, high, 0x44), _mm256_shuffle_ps(low, high, 0xee));
  const __m256 ones = _mm256_hadd_ps(twos, twos);
  const __m128 both =
      _mm_shuffle_ps(_mm256_castps256_ps128(ones), _mm256_extractf128_ps(ones, 1), 0x44);
  _mm_storeu_ps(sums, both);
#elif defined(__ARM_NEON)
  const F32x16* all[4] = {&a[0], &a1, &a2, &a3};
  float32x4_t fours[4];
  for (int i = 0; i < 4; ++i)
    fours[i] =
        vaddq_f32(vaddq_f32(all[i]->v[0], all[i]->v[2]), vaddq_f32(all[i]->v[1], all[i]->v[3]));
  float32x4_t twos[2];
  for (int i = 0; i < 2; ++i)
    twos[i] =
        vcombine_f32(vadd_f32(vget_low_f32(fours[2 * i]), vget_high_f32(fours[2 * i])),
                     vadd_f32(vget_low_f32(fours[2 * i + 1]), vget_high_f32(fours[2 * i + 1])));
  vst1q_f32(sums, vpaddq_f32(twos[0], twos[1]));
#else
  sums[0] = sum16(a[0]);
  sums[1] = sum16(a1);
  sums[2] = sum16(a2);
  sums[3] = sum16(a3);
#endif
  for (int i = 0; i < count; ++i) out[i] = sums[i];
}

}  // namespace strata::cpu::STRATA_ISA
