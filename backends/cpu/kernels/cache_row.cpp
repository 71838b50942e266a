// Rows of the KV cache: f32 to the cache's dtype. The way back is dequantize_row.
#include <math.h>

#include "backends/cpu/kernels/exp16.h"

namespace strata::cpu::STRATA_ISA {

// Round to nearest even, overflow to infinity, NaN stays NaN.
static std::uint16_t f16_of(float f) {
#if defined(__AVX2__)
  return _cvtss_sh(f, _MM_FROUND_TO_NEAREST_INT);
#else
  const std::uint32_t bits = bits_of(f);
  const std::uint32_t sign = (bits >> 16) & 0x8000u;
  const std::uint32_t magnitude = bits & 0x7fffffffu;
  if (magnitude > 0x7f800000u)
    return static_cast<std::uint16_t>(sign | 0x7e00u | ((magnitude >> 13) & 0x3ffu));
  if (magnitude >= 0x477ff000u) return static_cast<std::uint16_t>(sign | 0x7c00u);
  if (magnitude < 0x38800000u) {
    // A denormal: adding 0.5 aligns the mantissa, and the FPU rounds it to nearest even.
    const float aligned = float_of(magnitude) + 0.5F;
    return static_cast<std::uint16_t>(sign | (bits_of(aligned) - 0x3f000000u));
  }
  const std::uint32_t odd = (magnitude >> 13) & 1u;
  return static_cast<std::uint16_t>(sign | ((magnitude - 0x38000000u + 0xfffu + odd) >> 13));
#endif
}

static std::uint16_t bf16_of(float f) {
  const std::uint32_t bits = bits_of(f);
  if ((bits & 0x7fffffffu) > 0x7f800000u) return static_cast<std::uint16_t>((bits >> 16) | 0x40u);
  return static_cast<std::uint16_t>((bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16);
}

// 16 floats to 32 bytes.
static inline void store_f16(const float* x, std::uint8_t* to) {
#if defined(__AVX512F__)
  const __m256i small = _mm512_cvtps_ph(_mm512_loadu_ps(x), _MM_FROUND_TO_NEAREST_INT);
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), small);
#elif defined(__AVX2__)
  for (int i = 0; i < 2; ++i)
    _mm_storeu_si128(reinterpret_cast<__m128i*>(to) + i,
                     _mm256_cvtps_ph(_mm256_loadu_ps(x + 8 * i), _MM_FROUND_TO_NEAREST_INT));
#else
  std::uint16_t small[kWide];
  for (int i = 0; i < kWide; ++i) small[i] = f16_of(x[i]);
  __builtin_memcpy(to, small, sizeof(small));
#endif
}

static inline void store_bf16(const float* x, std::uint8_t* to) {
  std::uint16_t small[kWide];
  for (int i = 0; i < kWide; ++i) small[i] = bf16_of(x[i]);
  __builtin_memcpy(to, small, sizeof(small));
}

// The largest magnitude of 32 floats. With NaN among them, the last one's: its bits are kept.
static float largest_magnitude(const float* x) {
  I32Part best{};
  for (int i = 0; i < 32; i += kLanes) {
    I32Part bits;
    __builtin_memcpy(&bits, x + i, sizeof(bits));
    bits &= 0x7fffffff;
    best = bits > best ? bits : best;  // as the floats, NaN above all
  }
  std::int32_t largest = 0;
  for (int i = 0; i < kLanes; ++i) largest = best[i] > largest ? best[i] : largest;
  float amax = float_of(static_cast<std::uint32_t>(largest));
  if (amax != amax)
    for (int i = 0; i < 32; ++i) amax = x[i] != x[i] ? fabsf(x[i]) : amax;
  return amax;
}

// ggml's Q8_0: scale amax / 127 stored as f16, values rounded to nearest, ties away from zero. A
// NaN makes the scale NaN and so is seen by who reads the block; below 1e-30 the stored scale is
// zero.
static void store_q8_0(const float* x, std::uint8_t* block) {
  const float amax = largest_magnitude(x);
  const float scale = amax / 127.0F;
  const bool usable = amax <= 3.4e38F && amax > 1e-30F;
  const std::uint16_t stored = f16_of(scale);
  __builtin_memcpy(block, &stored, sizeof(stored));
  if (!usable) {
    for (int i = 0; i < 32; ++i) block[2 + i] = 0;
    return;
  }
  const F32Part inverse = set_part(1.0F / scale);
  // Truncation after adding the float below one half rounds ties away from zero.
  const I32Part half = (I32Part)set_part(0.49999997F);
  std::int32_t values[32];
  for (int i = 0; i < 32; i += kLanes) {
    F32Part v;
    __builtin_memcpy(&v, x + i, sizeof(v));
    v = v * inverse;
    const I32Part sign = (I32Part)v & static_cast<std::int32_t>(0x80000000u);
    const I32Part q = __builtin_convertvector(v + (F32Part)(half | sign), I32Part);
    __builtin_memcpy(values + i, &q, sizeof(q));
  }
  for (int i = 0; i < 32; ++i) block[2 + i] = static_cast<std::uint8_t>(values[i]);
}

// `columns` floats to a row of the cache; Q8_0: a multiple of 32.
void cache_store(DType dtype, const float* x, std::int64_t columns, std::byte* row) {
  auto* to = reinterpret_cast<std::uint8_t*>(row);
  if (dtype == DType::Q8_0) {
    for (std::int64_t i = 0; i < columns; i += 32) store_q8_0(x + i, to + i / 32 * 34);
  } else if (dtype == DType::F32) {
    __builtin_memcpy(to, x, static_cast<std::size_t>(columns) * sizeof(float));
  } else {
    std::int64_t i = 0;
    for (; i + kWide <= columns; i += kWide)
      dtype == DType::F16 ? store_f16(x + i, to + 2 * i) : store_bf16(x + i, to + 2 * i);
    for (; i < columns; ++i) {
      const std::uint16_t value = dtype == DType::F16 ? f16_of(x[i]) : bf16_of(x[i]);
      __builtin_memcpy(to + 2 * i, &value, sizeof(value));
    }
  }
}

}  // namespace strata::cpu::STRATA_ISA
