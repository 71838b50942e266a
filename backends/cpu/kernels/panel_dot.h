#pragma once

// The integer inner product of one block of a panel (16 rows) with 32 quantized activations:
// exact in int32, hence the same in every instruction set.

#include "backends/cpu/kernels/panels.h"

namespace strata::cpu::STRATA_ISA {

// Activations g * 4 .. g * 4 + 3 as one word.
static inline std::int32_t four_at(const std::int8_t* a, int g) {
  std::int32_t four;
  __builtin_memcpy(&four, a + 4 * g, 4);
  return four;
}

#if defined(__AVX512VNNI__)

struct I32x16 {
  __m512i v;
};
static inline F32x16 to_f32(I32x16 a) { return {_mm512_cvtepi32_ps(a.v)}; }

static inline __m512i group_at(const std::byte* quants, int g) {
  return _mm512_loadu_si512(quants + g * kGroupBytes);
}

// vpdpbusd multiplies unsigned by signed bytes: the accumulator starts at minus what the weights'
// offset adds.
static inline I32x16 dot_q8(const std::byte* quants, const std::int8_t* a, std::int32_t sum) {
  __m512i even = _mm512_set1_epi32(sum);
  __m512i odd = _mm512_setzero_si512();
  for (int g = 0; g < kQ8Groups; g += 2) {
    even = _mm512_dpbusd_epi32(even, group_at(quants, g), _mm512_set1_epi32(four_at(a, g)));
    odd = _mm512_dpbusd_epi32(odd, group_at(quants, g + 1), _mm512_set1_epi32(four_at(a, g + 1)));
  }
  return {_mm512_add_epi32(even, odd)};
}

static inline I32x16 dot_q4(const std::byte* quants, const std::int8_t* a, std::int32_t sum) {
  const __m512i mask = _mm512_set1_epi8(15);
  __m512i low = _mm512_set1_epi32(sum >> 4);
  __m512i high = _mm512_setzero_si512();
  for (int g = 0; g < kQ4Groups; ++g) {
    const __m512i w = group_at(quants, g);
    low = _mm512_dpbusd_epi32(low, _mm512_and_si512(w, mask), _mm512_set1_epi32(four_at(a, g)));
    high = _mm512_dpbusd_epi32(high, _mm512_and_si512(_mm512_srli_epi16(w, 4), mask),
                               _mm512_set1_epi32(four_at(a, g + kQ4Groups)));
  }
  return {_mm512_add_epi32(low, high)};
}

#elif defined(__AVX2__)

struct I32x16 {
  __m256i lo, hi;
};
static inline F32x16 to_f32(I32x16 a) {
  return {_mm256_cvtepi32_ps(a.lo), _mm256_cvtepi32_ps(a.hi)};
}

static inline __m256i half_group_at(const std::byte* quants, int g, int half) {
  return _mm256_loadu_si256(
      reinterpret_cast<const __m256i*>(quants + g * kGroupBytes + half * kGroupBytes / 2));
}

// vpmaddubsw adds two products in int16, so both must stay below 2^14: |w| <= 128 and |a| <= 127
// do, as 2 * 128 * 127 = 32512. Hence signed weights again, and the sign moved to the activation.
static inline __m256i dot_q8_half(const std::byte* quants, const std::int8_t* a, int half) {
  const __m256i flip = _mm256_set1_epi8(static_cast<char>(0x80));
  __m256i sum = _mm256_setzero_si256();
  for (int g = 0; g < kQ8Groups; ++g) {
    const __m256i w = _mm256_xor_si256(half_group_at(quants, g, half), flip);
    const __m256i signed_a = _mm256_sign_epi8(_mm256_set1_epi32(four_at(a, g)), w);
    const __m256i pairs = _mm256_maddubs_epi16(_mm256_abs_epi8(w), signed_a);
    sum = _mm256_add_epi32(sum, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
  }
  return sum;
}

static inline I32x16 dot_q8(const std::byte* quants, const std::int8_t* a, std::int32_t) {
  return {dot_q8_half(quants, a, 0), dot_q8_half(quants, a, 1)};
}

// Nibbles: all 16 pairs of a lane fit int16, as 16 * 15 * 127 = 30480.
static inline __m256i dot_q4_half(const std::byte* quants, const std::int8_t* a, std::int32_t sum,
                                  int half) {
  const __m256i mask = _mm256_set1_epi8(15);
  __m256i pairs = _mm256_setzero_si256();
  for (int g = 0; g < kQ4Groups; ++g) {
    const __m256i w = half_group_at(quants, g, half);
    const __m256i low = _mm256_and_si256(w, mask);
    const __m256i high = _mm256_and_si256(_mm256_srli_epi16(w, 4), mask);
    const __m256i low_a = _mm256_set1_epi32(four_at(a, g));
    const __m256i high_a = _mm256_set1_epi32(four_at(a, g + kQ4Groups));
    pairs = _mm256_add_epi16(pairs, _mm256_maddubs_epi16(low, low_a));
    pairs = _mm256_add_epi16(pairs, _mm256_maddubs_epi16(high, high_a));
  }
  return _mm256_add_epi32(_mm256_set1_epi32(sum >> 4),
                          _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
}

static inline I32x16 dot_q4(const std::byte* quants, const std::int8_t* a, std::int32_t sum) {
  return {dot_q4_half(quants, a, sum, 0), dot_q4_half(quants, a, sum, 1)};
}

#else

struct I32x16 {
  std::int32_t v[kRows];
};
static inline F32x16 to_f32(I32x16 a) {
  float values[kRows];
  for (int r = 0; r < kRows; ++r) values[r] = static_cast<float>(a.v[r]);
  return load16(values);
}

static inline I32x16 all(std::int32_t value) {
  I32x16 a;
  for (int r = 0; r < kRows; ++r) a.v[r] = value;
  return a;
}

static inline I32x16 dot_q8(const std::byte* quants, const std::int8_t* a, std::int32_t sum) {
  const auto* w = reinterpret_cast<const std::uint8_t*>(quants);
  I32x16 total = all(sum);
  for (int g = 0; g < kQ8Groups; ++g, w += kGroupBytes)
    for (int r = 0; r < kRows; ++r)
      for (int i = 0; i < 4; ++i) total.v[r] += w[4 * r + i] * a[4 * g + i];
  return total;
}

static inline I32x16 dot_q4(const std::byte* quants, const std::int8_t* a, std::int32_t sum) {
  const auto* w = reinterpret_cast<const std::uint8_t*>(quants);
  I32x16 total = all(sum >> 4);
  for (int g = 0; g < kQ4Groups; ++g, w += kGroupBytes)
    for (int r = 0; r < kRows; ++r)
      for (int i = 0; i < 4; ++i)
        total.v[r] += (w[4 * r + i] & 15) * a[4 * g + i] + (w[4 * r + i] >> 4) * a[4 * g + i + 16];
  return total;
}

#endif

}  // namespace strata::cpu::STRATA_ISA
