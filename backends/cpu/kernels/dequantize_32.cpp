// Blocks of 32 elements. Element i < 16 lies in the low nibble of byte i, element i + 16 in its
// high nibble. Layouts: GGUF specification, ggml's reference quantizers.
#include "backends/cpu/kernels/dequantize.h"

namespace strata::cpu::STRATA_ISA {

static std::uint32_t u32_at(const std::uint8_t* p) {
  std::uint32_t value;
  __builtin_memcpy(&value, p, sizeof(value));
  return value;
}

// Elements 0 .. 15 and 16 .. 31, before any scale.
struct Quants {
  Bytes low, high;
};
static inline Quants nibbles_at(const std::uint8_t* p) {
  const Bytes both = bytes_at(p);
  return {both & 15, field(both, 4, 15)};
}
static inline Quants fives_at(const std::uint8_t* p, std::uint32_t fifth_bits) {
  const Quants q = nibbles_at(p);
  return {q.low | spread(fifth_bits, 16), q.high | spread(fifth_bits >> 16, 16)};
}

static inline void put_scaled(float* out, Quants q, float d) {
  put_scaled16(out, q.low, set16(d));
  put_scaled16(out + 16, q.high, set16(d));
}
static inline void put_raised(float* out, Quants q, float d, float m) {
  store16(out, add16(mul16(set16(d), f32_of_s8(q.low)), set16(m)));
  store16(out + 16, add16(mul16(set16(d), f32_of_s8(q.high)), set16(m)));
}

// d f16, nibbles: d * (q - 8)
void dequantize_q4_0(const std::byte* data, std::int64_t blocks, float* out) {
  const std::uint8_t* p = bytes_of(data);
  for (std::int64_t b = 0; b < blocks; ++b, p += 18, out += 32) {
    const Quants q = nibbles_at(p + 2);
    put_scaled(out, {q.low - 8, q.high - 8}, f16_at(p));
  }
}

// d f16, m f16, nibbles: d * q + m
void dequantize_q4_1(const std::byte* data, std::int64_t blocks, float* out) {
  const std::uint8_t* p = bytes_of(data);
  for (std::int64_t b = 0; b < blocks; ++b, p += 20, out += 32)
    put_raised(out, nibbles_at(p + 4), f16_at(p), f16_at(p + 2));
}

// d f16, fifth bits u32, nibbles: d * (q - 16)
void dequantize_q5_0(const std::byte* data, std::int64_t blocks, float* out) {
  const std::uint8_t* p = bytes_of(data);
  for (std::int64_t b = 0; b < blocks; ++b, p += 22, out += 32) {
    const Quants q = fives_at(p + 6, u32_at(p + 2));
    put_scaled(out, {q.low - 16, q.high - 16}, f16_at(p));
  }
}

// d f16, m f16, fifth bits u32, nibbles: d * q + m
void dequantize_q5_1(const std::byte* data, std::int64_t blocks, float* out) {
  const std::uint8_t* p = bytes_of(data);
  for (std::int64_t b = 0; b < blocks; ++b, p += 24, out += 32)
    put_raised(out, fives_at(p + 8, u32_at(p + 4)), f16_at(p), f16_at(p + 2));
}

// d f16, int8[32]: d * q
void dequantize_q8_0(const std::byte* data, std::int64_t blocks, float* out) {
  const std::uint8_t* p = bytes_of(data);
  for (std::int64_t b = 0; b < blocks; ++b, p += 34, out += 32)
    put_scaled(out, {bytes_at(p + 2), bytes_at(p + 18)}, f16_at(p));
}

// d f16, nibbles into a table: d * table[q]
void dequantize_iq4_nl(const std::byte* data, std::int64_t blocks, float* out) {
  const std::uint8_t* p = bytes_of(data);
  for (std::int64_t b = 0; b < blocks; ++b, p += 18, out += 32) {
    const Quants q = nibbles_at(p + 2);
    put_scaled(out, {look_up(kIq4Values, q.low), look_up(kIq4Values, q.high)}, f16_at(p));
  }
}

// Twice the values of E2M1, so that they are whole numbers (OCP MX specification 1.0).
static constexpr std::int8_t kE2m1Doubled[16] = {0, 1,  2,  3,  4,  6,  8,  12,
                                                 0, -1, -2, -3, -4, -6, -8, -12};

// e u8 (E8M0: 2^(e - 127)), nibbles E2M1: 2^(e - 128) * (twice the value)
void dequantize_mxfp4(const std::byte* data, std::int64_t blocks, float* out) {
  const std::uint8_t* p = bytes_of(data);
  for (std::int64_t b = 0; b < blocks; ++b, p += 17, out += 32) {
    const std::uint32_t e = p[0];
    const float d = float_of(e < 2 ? 0x00200000u << e : (e - 1) << 23);
    const Quants q = nibbles_at(p + 1);
    put_scaled(out, {look_up(kE2m1Doubled, q.low), look_up(kE2m1Doubled, q.high)}, d);
  }
}

}  // namespace strata::cpu::STRATA_ISA
