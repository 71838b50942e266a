// Superblocks of 256 elements with scales (and minima) per 16 or 32. Layouts: GGUF specification,
// ggml's reference quantizers.
#include "backends/cpu/kernels/dequantize.h"

namespace strata::cpu::STRATA_ISA {

// scales[16] (low nibble scale, high nibble minimum), 2-bit quants [64], d, dmin.
// 16 elements: d * scale * q - dmin * minimum
void dequantize_q2_k(const std::byte* data, std::int64_t blocks, float* out) {
  const std::uint8_t* p = bytes_of(data);
  for (std::int64_t b = 0; b < blocks; ++b, p += 84, out += 256) {
    const float d = f16_at(p + 80);
    const float dmin = f16_at(p + 82);
    for (int group = 0; group < 16; ++group) {  // of 16 elements
      // 32 bytes hold 128 elements: four shifts of 32 elements each.
      const std::uint8_t* q = p + 16 + group / 8 * 32 + group % 2 * 16;
      const int shift = group % 8 / 2 * 2;
      const float scale = d * static_cast<float>(p[group] & 15);
      const float minimum = dmin * static_cast<float>(p[group] >> 4);
      put_lowered16(out + group * 16, field(bytes_at(q), shift, 3), set16(scale), set16(minimum));
    }
  }
}

// hmask[32] (third bits), 2-bit quants [64], 16 scales of 6 bits in [12], d.
// 16 elements: d * (scale - 32) * (q - 4)
void dequantize_q3_k(const std::byte* data, std::int64_t blocks, float* out) {
  const std::uint8_t* p = bytes_of(data);
  for (std::int64_t b = 0; b < blocks; ++b, p += 110, out += 256) {
    const float d = f16_at(p + 108);
    const std::uint8_t* packed = p + 96;
    for (int group = 0; group < 16; ++group) {
      const int low = group < 8 ? packed[group] & 15 : packed[group - 8] >> 4;
      const int high = (packed[8 + group % 4] >> (group / 4 * 2)) & 3;
      const float scale = d * static_cast<float>((low | (high << 4)) - 32);
      const std::uint8_t* q = p + 32 + group / 8 * 32 + group % 2 * 16;
      const std::uint8_t* mask = p + group % 2 * 16;
      const int shift = group % 8 / 2 * 2;
      const int bit = group / 2;
      const Bytes third = field(bytes_at(mask), bit, 1) << 2;
      put_scaled16(out + group * 16, (field(bytes_at(q), shift, 3) | third) - 4, set16(scale));
    }
  }
}

struct ScaleMin {
  int scale;
  int minimum;
};

// Entry i < 8 of the 12 bytes that hold 8 scales and 8 minima of 6 bits (Q4_K, Q5_K).
static ScaleMin scale_min(const std::uint8_t* packed, int i) {
  if (i < 4) return {packed[i] & 63, packed[i + 4] & 63};
  return {(packed[i + 4] & 15) | ((packed[i - 4] >> 6) << 4),
          (packed[i + 4] >> 4) | ((packed[i] >> 6) << 4)};
}

// d, dmin, scales[12], nibbles [128]: 32 bytes hold 64 elements, low nibbles first.
// 32 elements: d * scale * q - dmin * minimum
void dequantize_q4_k(const std::byte* data, std::int64_t blocks, float* out) {
  const std::uint8_t* p = bytes_of(data);
  for (std::int64_t b = 0; b < blocks; ++b, p += 144, out += 256) {
    const float d = f16_at(p);
    const float dmin = f16_at(p + 2);
    for (int group = 0; group < 8; ++group) {
      const ScaleMin packed = scale_min(p + 4, group);
      const float scale = d * static_cast<float>(packed.scale);
      const float minimum = dmin * static_cast<float>(packed.minimum);
      const std::uint8_t* q = p + 16 + group / 2 * 32;
      const int shift = group % 2 * 4;
      for (int i = 0; i < 32; i += 16)
        put_lowered16(out + group * 32 + i, field(bytes_at(q + i), shift, 15), set16(scale),
                      set16(minimum));
    }
  }
}

// d, dmin, scales[12], fifth bits [32] (bit g of byte i: element i of group g), nibbles [128].
void dequantize_q5_k(const std::byte* data, std::int64_t blocks, float* out) {
  const std::uint8_t* p = bytes_of(data);
  for (std::int64_t b = 0; b < blocks; ++b, p += 176, out += 256) {
    const float d = f16_at(p);
    const float dmin = f16_at(p + 2);
    const std::uint8_t* high = p + 16;
    for (int group = 0; group < 8; ++group) {
      const ScaleMin packed = scale_min(p + 4, group);
      const float scale = d * static_cast<float>(packed.scale);
      const float minimum = dmin * static_cast<float>(packed.minimum);
      const std::uint8_t* q = p + 48 + group / 2 * 32;
      const int shift = group % 2 * 4;
      for (int i = 0; i < 32; i += 16) {
        const Bytes fifth = field(bytes_at(high + i), group, 1) << 4;
        put_lowered16(out + group * 32 + i, field(bytes_at(q + i), shift, 15) | fifth, set16(scale),
                      set16(minimum));
      }
    }
  }
}

// ql[128], qh[64], int8 scales[16] (per 16 elements), d: d * scale * (q - 32). Each half of 128
// elements has 64 bytes of ql (low nibbles: its first 64 elements) and 32 of qh, two bits each.
void dequantize_q6_k(const std::byte* data, std::int64_t blocks, float* out) {
  const std::uint8_t* p = bytes_of(data);
  for (std::int64_t b = 0; b < blocks; ++b, p += 210, out += 256) {
    const float d = f16_at(p + 208);
    for (int group = 0; group < 16; ++group) {
      const int half = group / 8;
      const int at = group % 8;  // 16 elements each; 32 share a row of bit positions
      const std::uint8_t* low = p + half * 64 + at % 4 * 16;
      const std::uint8_t* high = p + 128 + half * 32 + at % 2 * 16;
      const int low_shift = at / 4 * 4;
      const int high_shift = at / 2 * 2;
      const float scale = d * static_cast<float>(static_cast<std::int8_t>(p[192 + group]));
      const Bytes value =
          field(bytes_at(low), low_shift, 15) | (field(bytes_at(high), high_shift, 3) << 4);
      put_scaled16(out + group * 16, value - 32, set16(scale));
    }
  }
}

// d, high bits of 8 scales u16, low nibbles of them [4], nibbles [128]: 16 bytes hold 32 elements,
// low nibbles first. 32 elements: d * (scale - 32) * table[q]
void dequantize_iq4_xs(const std::byte* data, std::int64_t blocks, float* out) {
  const std::uint8_t* p = bytes_of(data);
  for (std::int64_t b = 0; b < blocks; ++b, p += 136, out += 256) {
    const float d = f16_at(p);
    const int scales_high = u16_at(p + 2);
    for (int group = 0; group < 8; ++group) {
      const int low = (p[4 + group / 2] >> (group % 2 * 4)) & 15;
      const int high = (scales_high >> (2 * group)) & 3;
      const float scale = d * static_cast<float>((low | (high << 4)) - 32);
      const Bytes q = bytes_at(p + 8 + group * 16);
      put_scaled16(out + group * 32, look_up(kIq4Values, q & 15), set16(scale));
      put_scaled16(out + group * 32 + 16, look_up(kIq4Values, field(q, 4, 15)), set16(scale));
    }
  }
}

}  // namespace strata::cpu::STRATA_ISA
