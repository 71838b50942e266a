// Rows of the KV cache: f32 to the cache's dtype. The way back is dequantize_row.
#include <math.h>

#include "backends/cpu/kernels/simd.h"

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

// ggml's Q8_0: scale amax / 127 stored as f16, values rounded to nearest, ties away from zero. A
// NaN makes the scale NaN and so is seen by who reads the block; below 1e-30 the stored scale is
// zero.
static void store_q8_0(const float* x, std::uint8_t* block) {
  float amax = 0.0F;
  for (int i = 0; i < 32; ++i) {
    const float magnitude = fabsf(x[i]);
    amax = magnitude > amax || magnitude != magnitude ? magnitude : amax;
  }
  const float scale = amax / 127.0F;
  const bool usable = amax <= 3.4e38F && amax > 1e-30F;
  const float inverse = usable ? 1.0F / scale : 0.0F;
  const std::uint16_t stored = f16_of(scale);
  __builtin_memcpy(block, &stored, sizeof(stored));
  for (int i = 0; i < 32; ++i) {
    const auto value = usable ? static_cast<std::int8_t>(roundf(x[i] * inverse)) : std::int8_t{0};
    block[2 + i] = static_cast<std::uint8_t>(value);
  }
}

// `columns` floats to a row of the cache; Q8_0: a multiple of 32.
void cache_store(DType dtype, const float* x, std::int64_t columns, std::byte* row) {
  auto* to = reinterpret_cast<std::uint8_t*>(row);
  if (dtype == DType::Q8_0) {
    for (std::int64_t i = 0; i < columns; i += 32) store_q8_0(x + i, to + i / 32 * 34);
  } else if (dtype == DType::F32) {
    __builtin_memcpy(to, x, static_cast<std::size_t>(columns) * sizeof(float));
  } else {
    for (std::int64_t i = 0; i < columns; ++i) {
      const std::uint16_t value = dtype == DType::F16 ? f16_of(x[i]) : bf16_of(x[i]);
      __builtin_memcpy(to + 2 * i, &value, sizeof(value));
    }
  }
}

}  // namespace strata::cpu::STRATA_ISA
