#pragma once

#include "backends/cpu/kernels/bytes16.h"

namespace strata::cpu::STRATA_ISA {

// One function per block-quantized dtype: `blocks` blocks to floats, in their stated order of
// operations (every variant gives the same bits). Blocks need no alignment.
void dequantize_q4_0(const std::byte* data, std::int64_t blocks, float* out);
void dequantize_q4_1(const std::byte* data, std::int64_t blocks, float* out);
void dequantize_q5_0(const std::byte* data, std::int64_t blocks, float* out);
void dequantize_q5_1(const std::byte* data, std::int64_t blocks, float* out);
void dequantize_q8_0(const std::byte* data, std::int64_t blocks, float* out);
void dequantize_iq4_nl(const std::byte* data, std::int64_t blocks, float* out);
void dequantize_mxfp4(const std::byte* data, std::int64_t blocks, float* out);
void dequantize_q2_k(const std::byte* data, std::int64_t blocks, float* out);
void dequantize_q3_k(const std::byte* data, std::int64_t blocks, float* out);
void dequantize_q4_k(const std::byte* data, std::int64_t blocks, float* out);
void dequantize_q5_k(const std::byte* data, std::int64_t blocks, float* out);
void dequantize_q6_k(const std::byte* data, std::int64_t blocks, float* out);
void dequantize_iq4_xs(const std::byte* data, std::int64_t blocks, float* out);

static inline const std::uint8_t* bytes_of(const std::byte* data) {
  return reinterpret_cast<const std::uint8_t*>(data);
}

static inline std::uint16_t u16_at(const std::uint8_t* p) {
  std::uint16_t value;
  __builtin_memcpy(&value, p, sizeof(value));
  return value;
}

static inline float f16_at(const std::uint8_t* p) { return f16_value(u16_at(p)); }

// 16 elements: scale * q, or scale * q - minimum, each operation rounded.
static inline void put_scaled16(float* out, Bytes q, F32x16 scale) {
  store16(out, mul16(scale, f32_of_s8(q)));
}
static inline void put_lowered16(float* out, Bytes q, F32x16 scale, F32x16 minimum) {
  store16(out, sub16(mul16(scale, f32_of_s8(q)), minimum));
}

// The 16 values of a 4-bit index in IQ4_NL and IQ4_XS (ggml: kvalues_iq4nl).
static constexpr std::int8_t kIq4Values[16] = {-127, -104, -83, -65, -49, -35, -22, -10,
                                               1,    13,   25,  38,  53,  69,  89,  113};

}  // namespace strata::cpu::STRATA_ISA
