#pragma once

// Vectors of 16 f32 lanes for every instruction set, so that all variants of a kernel sum in the
// same order: one AVX-512 register, two of AVX2, four of NEON, or four generic vectors of four.

#include <cstdint>

#if defined(__AVX2__)
#include <immintrin.h>
#elif defined(__ARM_NEON)
#include <arm_neon.h>
#endif

#include "backends/cpu/kernels/isa.h"

namespace strata::cpu::STRATA_ISA {

static constexpr std::int64_t kWide = 16;  // lanes of F32x16

#if defined(__AVX512F__)

static constexpr int kLanes = 16;

struct F32x16 {
  __m512 v;
};
static inline F32x16 set16(float a) { return {_mm512_set1_ps(a)}; }
static inline F32x16 load16(const float* p) { return {_mm512_loadu_ps(p)}; }
static inline void store16(float* p, F32x16 a) { _mm512_storeu_ps(p, a.v); }
static inline F32x16 add16(F32x16 a, F32x16 b) { return {_mm512_add_ps(a.v, b.v)}; }
static inline F32x16 sub16(F32x16 a, F32x16 b) { return {_mm512_sub_ps(a.v, b.v)}; }
static inline F32x16 mul16(F32x16 a, F32x16 b) { return {_mm512_mul_ps(a.v, b.v)}; }
static inline F32x16 max16(F32x16 a, F32x16 b) { return {_mm512_max_ps(a.v, b.v)}; }
// a * b + c, rounded once where the instruction set has it.
static inline F32x16 fma16(F32x16 a, F32x16 b, F32x16 c) {
  return {_mm512_fmadd_ps(a.v, b.v, c.v)};
}
static inline F32x16 load16_f16(const std::uint16_t* p) {
  return {_mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)))};
}

#elif defined(__AVX2__)

static constexpr int kLanes = 8;

struct F32x16 {
  __m256 lo, hi;
};
static inline F32x16 set16(float a) { return {_mm256_set1_ps(a), _mm256_set1_ps(a)}; }
static inline F32x16 load16(const float* p) { return {_mm256_loadu_ps(p), _mm256_loadu_ps(p + 8)}; }
static inline void store16(float* p, F32x16 a) {
  _mm256_storeu_ps(p, a.lo);
  _mm256_storeu_ps(p + 8, a.hi);
}
static inline F32x16 add16(F32x16 a, F32x16 b) {
  return {_mm256_add_ps(a.lo, b.lo), _mm256_add_ps(a.hi, b.hi)};
}
static inline F32x16 sub16(F32x16 a, F32x16 b) {
  return {_mm256_sub_ps(a.lo, b.lo), _mm256_sub_ps(a.hi, b.hi)};
}
static inline F32x16 mul16(F32x16 a, F32x16 b) {
  return {_mm256_mul_ps(a.lo, b.lo), _mm256_mul_ps(a.hi, b.hi)};
}
static inline F32x16 max16(F32x16 a, F32x16 b) {
  return {_mm256_max_ps(a.lo, b.lo), _mm256_max_ps(a.hi, b.hi)};
}
static inline F32x16 fma16(F32x16 a, F32x16 b, F32x16 c) {
  return {_mm256_fmadd_ps(a.lo, b.lo, c.lo), _mm256_fmadd_ps(a.hi, b.hi, c.hi)};
}
static inline F32x16 load16_f16(const std::uint16_t* p) {
  const __m128i* h = reinterpret_cast<const __m128i*>(p);
  return {_mm256_cvtph_ps(_mm_loadu_si128(h)), _mm256_cvtph_ps(_mm_loadu_si128(h + 1))};
}

#elif defined(__ARM_NEON)

static constexpr int kLanes = 4;

struct F32x16 {
  float32x4_t v[4];
};
static inline F32x16 set16(float a) {
  const float32x4_t v = vdupq_n_f32(a);
  return {{v, v, v, v}};
}
static inline F32x16 load16(const float* p) {
  return {{vld1q_f32(p), vld1q_f32(p + 4), vld1q_f32(p + 8), vld1q_f32(p + 12)}};
}
static inline void store16(float* p, F32x16 a) {
  for (int i = 0; i < 4; ++i) vst1q_f32(p + 4 * i, a.v[i]);
}
static inline F32x16 add16(F32x16 a, F32x16 b) {
  for (int i = 0; i < 4; ++i) a.v[i] = vaddq_f32(a.v[i], b.v[i]);
  return a;
}
static inline F32x16 sub16(F32x16 a, F32x16 b) {
  for (int i = 0; i < 4; ++i) a.v[i] = vsubq_f32(a.v[i], b.v[i]);
  return a;
}
static inline F32x16 mul16(F32x16 a, F32x16 b) {
  for (int i = 0; i < 4; ++i) a.v[i] = vmulq_f32(a.v[i], b.v[i]);
  return a;
}
// As the others: the second operand where one of them is NaN.
static inline F32x16 max16(F32x16 a, F32x16 b) {
  for (int i = 0; i < 4; ++i) a.v[i] = vbslq_f32(vcgtq_f32(a.v[i], b.v[i]), a.v[i], b.v[i]);
  return a;
}
static inline F32x16 fma16(F32x16 a, F32x16 b, F32x16 c) {
  for (int i = 0; i < 4; ++i) c.v[i] = vfmaq_f32(c.v[i], a.v[i], b.v[i]);
  return c;
}
static inline F32x16 load16_f16(const std::uint16_t* p) {
  F32x16 a;
  for (int i = 0; i < 4; ++i) a.v[i] = vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16(p + 4 * i)));
  return a;
}

#else

static constexpr int kLanes = 4;

typedef float F32x4 __attribute__((vector_size(16)));
struct F32x16 {
  F32x4 v[4];
};
static inline F32x16 set16(float a) {
  const F32x4 v = {a, a, a, a};
  return {{v, v, v, v}};
}
static inline F32x16 load16(const float* p) {
  F32x16 a;
  __builtin_memcpy(&a, p, sizeof(a));
  return a;
}
static inline void store16(float* p, F32x16 a) { __builtin_memcpy(p, &a, sizeof(a)); }
static inline F32x16 add16(F32x16 a, F32x16 b) {
  return {{a.v[0] + b.v[0], a.v[1] + b.v[1], a.v[2] + b.v[2], a.v[3] + b.v[3]}};
}
static inline F32x16 sub16(F32x16 a, F32x16 b) {
  return {{a.v[0] - b.v[0], a.v[1] - b.v[1], a.v[2] - b.v[2], a.v[3] - b.v[3]}};
}
static inline F32x16 mul16(F32x16 a, F32x16 b) {
  return {{a.v[0] * b.v[0], a.v[1] * b.v[1], a.v[2] * b.v[2], a.v[3] * b.v[3]}};
}
static inline F32x16 max16(F32x16 a, F32x16 b) {
  for (int i = 0; i < 4; ++i) a.v[i] = a.v[i] > b.v[i] ? a.v[i] : b.v[i];
  return a;
}
static inline F32x16 fma16(F32x16 a, F32x16 b, F32x16 c) { return add16(mul16(a, b), c); }

#endif

static inline std::uint32_t bits_of(float f) {
  std::uint32_t bits;
  __builtin_memcpy(&bits, &f, sizeof(bits));
  return bits;
}

static inline float float_of(std::uint32_t bits) {
  float f;
  __builtin_memcpy(&f, &bits, sizeof(f));
  return f;
}

// binary16 to binary32, exact, denormals and NaN included.
static inline float f16_value(std::uint16_t h) {
#if defined(__AVX2__)
  return _cvtsh_ss(h);
#else
  const std::uint32_t sign = static_cast<std::uint32_t>(h & 0x8000u) << 16;
  const std::uint32_t magnitude = static_cast<std::uint32_t>(h & 0x7fffu) << 13;
  if (magnitude >= 0x0f800000u) return float_of(sign | 0x70000000u | magnitude);
  // Shifted down by 112 exponents, denormals too; the multiplication puts them right, exactly.
  return float_of(bits_of(float_of(magnitude) * 0x1p112F) | sign);
#endif
}

static inline float bf16_value(std::uint16_t h) {
  return float_of(static_cast<std::uint32_t>(h) << 16);
}

#if !defined(__AVX2__) && !defined(__ARM_NEON)
static inline F32x16 load16_f16(const std::uint16_t* p) {
  float values[kWide];
  for (int i = 0; i < kWide; ++i) values[i] = f16_value(p[i]);
  return load16(values);
}
#endif

// The first `count` < 16 lanes from p, zeros in the others.
static inline F32x16 load16_part(const float* p, std::int64_t count) {
  float values[kWide] = {};
  for (std::int64_t i = 0; i < count; ++i) values[i] = p[i];
  return load16(values);
}

// Sum of the lanes, always by the same tree.
static inline float sum16(F32x16 a) {
  float s[kWide];
  store16(s, a);
  for (int width = 8; width >= 1; width /= 2)
    for (int i = 0; i < width; ++i) s[i] += s[i + width];
  return s[0];
}

}  // namespace strata::cpu::STRATA_ISA
