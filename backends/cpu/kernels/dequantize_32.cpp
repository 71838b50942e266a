// Blocks of 32 elements. Element i < 16 lies in the low nibble of byte i, element i + 16 in its
// high nibble. Layouts: GGUF specification, ggml's reference quantizers.
#include "backends/cpu/kernels/dequantize.h"

namespace strata::cpu::STRATA_ISA {

static std::uint32_t u32_at(const std::uint8_t* p) {
  std::uint32_t value;
  __builtin_memcpy(&value, p, sizeof(value));
  return value;
}

// d f16, nibbles: d * (q - 8)
void dequantize_q4_0(const std::byte* data, std::int64_t blocks, float* out) {
  const std::uint8_t* p = bytes_of(data);
  for (std::int64_t b = 0; b < blocks; ++b, p += 18, out += 32) {
    const float d = f16_at(p);
    for (int i = 0; i < 16; ++i) {
      out[i] = d * static_cast<float>((p[2 + i] & 15) - 8);
      out[i + 16] = d * static_cast<float>((p[2 + i] >> 4) - 8);
    }
  }
}

// d f16, m f16, nibbles: d * q + m
void dequantize_q4_1(const std::byte* data, std::int64_t blocks, float* out) {
  const std::uint8_t* p = bytes_of(data);
  for (std::int64_t b = 0; b < blocks; ++b, p += 20, out += 32) {
    const float d = f16_at(p);
    const float m = f16_at(p + 2);
    for (int i = 0; i < 16; ++i) {
      out[i] = d * static_cast<float>(p[4 + i] & 15) + m;
      out[i + 16] = d * static_cast<float>(p[4 + i] >> 4) + m;
    }
  }
}

// d f16, fifth bits u32, nibbles: d * (q - 16)
void dequantize_q5_0(const std::byte* data, std::int64_t blocks, float* out) {
  const std::uint8_t* p = bytes_of(data);
  for (std::int64_t b = 0; b < blocks; ++b, p += 22, out += 32) {
    const float d = f16_at(p);
    const std::uint32_t high = u32_at(p + 2);
    for (int i = 0; i < 16; ++i) {
      const int low_bit = static_cast<int>((high >> i) & 1u);
      const int high_bit = static_cast<int>((high >> (i + 16)) & 1u);
      out[i] = d * static_cast<float>(((p[6 + i] & 15) | (low_bit << 4)) - 16);
      out[i + 16] = d * static_cast<float>(((p[6 + i] >> 4) | (high_bit << 4)) - 16);
    }
  }
}

// d f16, m f16, fifth bits u32, nibbles: d * q + m
void dequantize_q5_1(const std::byte* data, std::int64_t blocks, float* out) {
  const std::uint8_t* p = bytes_of(data);
  for (std::int64_t b = 0; b < blocks; ++b, p += 24, out += 32) {
    const float d = f16_at(p);
    const float m = f16_at(p + 2);
    const std::uint32_t high = u32_at(p + 4);
    for (int i = 0; i < 16; ++i) {
      const int low_bit = static_cast<int>((high >> i) & 1u);
      const int high_bit = static_cast<int>((high >> (i + 16)) & 1u);
      out[i] = d * static_cast<float>((p[8 + i] & 15) | (low_bit << 4)) + m;
      out[i + 16] = d * static_cast<float>((p[8 + i] >> 4) | (high_bit << 4)) + m;
    }
  }
}

// d f16, int8[32]: d * q
void dequantize_q8_0(const std::byte* data, std::int64_t blocks, float* out) {
  const std::uint8_t* p = bytes_of(data);
  for (std::int64_t b = 0; b < blocks; ++b, p += 34, out += 32) {
    const float d = f16_at(p);
    for (int i = 0; i < 32; ++i)
      out[i] = d * static_cast<float>(static_cast<std::int8_t>(p[2 + i]));
  }
}

// d f16, nibbles into a table: d * table[q]
void dequantize_iq4_nl(const std::byte* data, std::int64_t blocks, float* out) {
  const std::uint8_t* p = bytes_of(data);
  for (std::int64_t b = 0; b < blocks; ++b, p += 18, out += 32) {
    const float d = f16_at(p);
    for (int i = 0; i < 16; ++i) {
      out[i] = d * static_cast<float>(kIq4Values[p[2 + i] & 15]);
      out[i + 16] = d * static_cast<float>(kIq4Values[p[2 + i] >> 4]);
    }
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
    for (int i = 0; i < 16; ++i) {
      out[i] = d * static_cast<float>(kE2m1Doubled[p[1 + i] & 15]);
      out[i + 16] = d * static_cast<float>(kE2m1Doubled[p[1 + i] >> 4]);
    }
  }
}

}  // namespace strata::cpu::STRATA_ISA
