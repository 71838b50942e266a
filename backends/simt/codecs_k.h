#pragma once

// Codecs of the dtypes with blocks of 256 columns, in 8 units; see codecs_32.h. Scales are d times
// a whole number of at most 8 bits: exact in f32.

#include "backends/simt/codecs_32.h"

namespace strata::STRATA_SIMT {

template <DType type, int offset, bool mins, bool one_scale>
struct CodecK {
  static constexpr DType kType = type;
  static constexpr int kOffset = offset;
  static constexpr bool kMins = mins;
  static constexpr bool kOneScale = one_scale;
};

// Byte `i` of a word.
STRATA_DEVICE unsigned byte_of(unsigned word, unsigned i) { return word >> (8 * i) & 255u; }

// Q4_K and Q5_K: 64 columns are 32 bytes, low nibbles first. Unit u has 16 of these bytes: h = u %
// 2 of the 64 columns c = u / 2.
template <DType type>
struct CodecScaleMin : CodecK<type, 0, true, false> {
  STRATA_DEVICE static int column(int unit, int piece) {
    return unit / 2 * 64 + 32 * piece + unit % 2 * 16;
  }
  // `header`: d and dmin, then 12 bytes with 8 scales and 8 mins of 6 bits: the first four of each
  // whole in words 1 and 2, of the others the low bits in word 3 and the high ones above those.
  STRATA_DEVICE static void set_scales(const Int4& header, unsigned unit, WeightUnit& out) {
    const unsigned c = unit / 2 % 4;
    const unsigned shift = 16 * (c % 2);
    const unsigned a = static_cast<unsigned>(header.y) >> shift;
    const unsigned b = static_cast<unsigned>(header.z) >> shift;
    const unsigned low = static_cast<unsigned>(header.w) >> shift;
    const unsigned scales = c < 2 ? a & 0x3f3fu : (low & 0x0f0fu) | (a >> 2 & 0x3030u);
    const unsigned mins = c < 2 ? b & 0x3f3fu : (low >> 4 & 0x0f0fu) | (b >> 2 & 0x3030u);
    const float d = low_half(static_cast<unsigned>(header.x));
    const float dmin = -high_half(static_cast<unsigned>(header.x));
    STRATA_UNROLL
    for (unsigned piece = 0; piece < 2; ++piece) {
      out.scale[piece] = d * static_cast<float>(byte_of(scales, piece));
      out.min[piece] = dmin * static_cast<float>(byte_of(mins, piece));
    }
  }
};

struct CodecQ4_K : CodecScaleMin<DType::Q4_K> {
  struct Raw {
    Int4 quants, header;
  };
  template <class Source>
  STRATA_DEVICE static Raw load(const Source& row, unsigned unit) {
    return {row.template quants<0>(unit / 8, unit % 8 * 16), row.template word4<1>(unit / 8, 0)};
  }
  STRATA_DEVICE static void decode(const Raw& raw, unsigned unit, WeightUnit& out) {
    split_nibbles(raw.quants, out);
    set_scales(raw.header, unit, out);
  }
};

struct CodecQ5_K : CodecScaleMin<DType::Q5_K> {
  struct Raw {
    Int4 quants, high, header;
  };
  template <class Source>
  STRATA_DEVICE static Raw load(const Source& row, unsigned unit) {
    return {row.template quants<0>(unit / 8, unit % 8 * 16),
            row.template word4<1>(unit / 8, unit % 2 * 16), row.template word4<2>(unit / 8, 0)};
  }
  STRATA_DEVICE static void decode(const Raw& raw, unsigned unit, WeightUnit& out) {
    split_nibbles(raw.quants, out);
    set_scales(raw.header, unit, out);
    STRATA_UNROLL
    for (int i = 0; i < 4; ++i) {  // bit g of byte c: column c of the 32 columns g
      const unsigned bits = word_of(raw.high, i) >> (unit / 2 % 4 * 2);
      out.q[i] |= static_cast<int>(bits << 4 & 0x10101010u);
      out.q[4 + i] |= static_cast<int>(bits << 3 & 0x10101010u);
    }
  }
};

// A half of 128 columns has 64 bytes of low nibbles: of byte b, columns b and 64 + b; and 32 bytes
// of two high bits each: columns b, 32 + b, 64 + b, 96 + b. Unit u: 16 bytes p = u % 4 of half u
// / 4.
struct CodecQ6_K : CodecK<DType::Q6_K, 32, false, false> {
  struct Raw {
    Int4 quants, high;
    Int2 scales;  // int8 of 16 columns each
    std::uint16_t d;
  };
  STRATA_DEVICE static int column(int unit, int piece) {
    return unit / 4 * 128 + 64 * piece + unit % 4 * 16;
  }
  template <class Source>
  STRATA_DEVICE static Raw load(const Source& row, unsigned unit) {
    const unsigned block = unit / 8;
    const unsigned half = unit / 4 % 2;
    return {row.template quants<0>(block, unit % 8 * 16),
            row.template word4<1>(block, half * 32 + unit % 2 * 16),
            row.template word2<2>(block, half * 8), row.template half<3>(block)};
  }
  STRATA_DEVICE static void decode(const Raw& raw, unsigned unit, WeightUnit& out) {
    split_nibbles(raw.quants, out);
    STRATA_UNROLL
    for (int i = 0; i < 4; ++i) {
      const unsigned bits = word_of(raw.high, i) >> (unit / 2 % 2 * 2);
      out.q[i] |= static_cast<int>(bits << 4 & 0x30303030u);
      out.q[4 + i] |= static_cast<int>(bits & 0x30303030u);
    }
    const float d = half_to_float(raw.d);
    const auto scale = [&](int word) {
      return d * static_cast<float>(
                     static_cast<std::int8_t>(byte_of(static_cast<unsigned>(word), unit % 4)));
    };
    out.scale[0] = scale(raw.scales.x);
    out.scale[1] = scale(raw.scales.y);
  }
};

// Q2_K and Q3_K: a half of 128 columns has 32 bytes: bits 2 s, 2 s + 1 of byte b are column
// 32 s + b. Unit u has 16 of these bytes, h = u % 2, and s = 2 w, 2 w + 1 with w = u / 2 % 2.
template <DType type, int offset, bool mins>
struct CodecPairs : CodecK<type, offset, mins, false> {
  STRATA_DEVICE static int column(int unit, int piece) {
    return unit / 2 * 64 + 32 * piece + unit % 2 * 16;
  }
  STRATA_DEVICE static unsigned quants_at(unsigned unit) {
    return unit / 4 % 2 * 32 + unit % 2 * 16;
  }
  STRATA_DEVICE static void split_pairs(const Int4& v, unsigned unit, WeightUnit& out) {
    STRATA_UNROLL
    for (int i = 0; i < 4; ++i) {
      const unsigned bits = word_of(v, i) >> (unit / 2 % 2 * 4);
      out.q[i] = static_cast<int>(bits & 0x03030303u);
      out.q[4 + i] = static_cast<int>(bits >> 2 & 0x03030303u);
    }
  }
};

struct CodecQ2_K : CodecPairs<DType::Q2_K, 0, true> {
  struct Raw {
    Int4 quants;
    unsigned scales;  // of 16 columns each: scale | min << 4
    unsigned d_and_dmin;
  };
  template <class Source>
  STRATA_DEVICE static Raw load(const Source& row, unsigned unit) {
    const unsigned block = unit / 8;
    return {row.template quants<0>(block, quants_at(unit)),
            row.template word<1>(block, unit / 2 % 4 * 4), row.template word<2>(block, 0)};
  }
  STRATA_DEVICE static void decode(const Raw& raw, unsigned unit, WeightUnit& out) {
    split_pairs(raw.quants, unit, out);
    const float d = low_half(raw.d_and_dmin);
    const float dmin = -high_half(raw.d_and_dmin);
    STRATA_UNROLL
    for (unsigned piece = 0; piece < 2; ++piece) {
      const unsigned both = byte_of(raw.scales, 2 * piece + unit % 2);
      out.scale[piece] = d * static_cast<float>(both & 15u);
      out.min[piece] = dmin * static_cast<float>(both >> 4);
    }
  }
};

// The third bits: bit 4 half + s of byte b. Scales of 6 bits less 32: of sixteenth 8 half + i the
// low nibble in byte i, above each other, and the two high bits in byte 8 + i % 4.
struct CodecQ3_K : CodecPairs<DType::Q3_K, 4, false> {
  struct Raw {
    Int4 quants, third;
    unsigned low, high;
    std::uint16_t d;
  };
  template <class Source>
  STRATA_DEVICE static Raw load(const Source& row, unsigned unit) {
    const unsigned block = unit / 8;
    return {row.template quants<0>(block, quants_at(unit)),
            row.template word4<1>(block, unit % 2 * 16),
            row.template word<2>(block, unit / 2 % 2 * 4), row.template word<2>(block, 8),
            row.template half<3>(block)};
  }
  STRATA_DEVICE static void decode(const Raw& raw, unsigned unit, WeightUnit& out) {
    split_pairs(raw.quants, unit, out);
    const unsigned quarter = unit / 2 % 4;
    STRATA_UNROLL
    for (int i = 0; i < 4; ++i) {
      const unsigned bits = word_of(raw.third, i) >> (2 * quarter);
      out.q[i] |= static_cast<int>(bits << 2 & 0x04040404u);
      out.q[4 + i] |= static_cast<int>(bits << 1 & 0x04040404u);
    }
    const float d = half_to_float(raw.d);
    const unsigned low = raw.low >> (quarter / 2 * 4);
    const unsigned high = raw.high >> (2 * quarter);
    STRATA_UNROLL
    for (unsigned piece = 0; piece < 2; ++piece) {
      const unsigned i = 2 * piece + unit % 2;
      const unsigned scale = (byte_of(low, i) & 15u) + 16 * (byte_of(high, i) & 3u);
      out.scale[piece] = d * static_cast<float>(static_cast<int>(scale) - 32);
    }
  }
};

struct CodecIQ4_XS : CodecK<DType::IQ4_XS, 0, false, true> {
  struct Raw {
    Int4 quants;
    Int2 header;  // d, the scales' two high bits; their low nibbles
  };
  STRATA_DEVICE static int column(int unit, int piece) { return 32 * unit + 16 * piece; }
  template <class Source>
  STRATA_DEVICE static Raw load(const Source& row, unsigned unit) {
    return {row.template quants<0>(unit / 8, unit % 8 * 16), row.template word2<1>(unit / 8, 0)};
  }
  STRATA_DEVICE static void decode(const Raw& raw, unsigned unit, WeightUnit& out) {
    look_up_nibbles(raw.quants, iq4_table(), out);
    const unsigned g = unit % 8;
    const unsigned low = static_cast<unsigned>(raw.header.y) >> (4 * g) & 15u;
    const unsigned high = static_cast<unsigned>(raw.header.x) >> (16 + 2 * g) & 3u;
    set_scale(out, low_half(static_cast<unsigned>(raw.header.x)) *
                       static_cast<float>(static_cast<int>(low + 16 * high) - 32));
  }
};

}  // namespace strata::STRATA_SIMT
