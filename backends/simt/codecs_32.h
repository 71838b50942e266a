#pragma once

// Codecs of the dtypes with blocks of 32 columns: a unit is a block.
//
//   kType, kOffset          of WeightUnit::q; a power of two, or 0
//   kMins                   whether WeightUnit::min is set
//   kOneScale               whether the pieces are 32 neighbouring columns of one scale and min
//   Raw load(source, unit)  only loads, so that several units' loads are under way together
//   decode(raw, unit, out)
//   column(unit, piece)     the first of the piece's 16 columns

#include "backends/simt/weights.h"
#include "lookup.h"

namespace strata::STRATA_SIMT {

template <DType type, int offset, bool mins>
struct Codec32 {
  static constexpr DType kType = type;
  static constexpr int kOffset = offset;
  static constexpr bool kMins = mins;
  static constexpr bool kOneScale = true;
  STRATA_DEVICE static int column(int unit, int piece) { return 32 * unit + 16 * piece; }
};

STRATA_DEVICE void set_scale(WeightUnit& unit, float scale) {
  unit.scale[0] = scale;
  unit.scale[1] = scale;
}
STRATA_DEVICE void set_min(WeightUnit& unit, float min) {
  unit.min[0] = min;
  unit.min[1] = min;
}

/// Bit c of `high` becomes bit 4 of column c.
STRATA_DEVICE void add_fifth_bits(unsigned high, WeightUnit& unit) {
  STRATA_UNROLL
  for (int i = 0; i < 8; ++i) {
    // The factor puts copies of the four bits 7 apart: bit j of them to bit 8 j + 4.
    const unsigned spread = (high >> (4 * i) & 15u) * 0x02040810u & 0x10101010u;
    unit.q[i] |= static_cast<int>(spread);
  }
}

struct CodecQ4_0 : Codec32<DType::Q4_0, 8, false> {
  struct Raw {
    Int4 quants;
    std::uint16_t d;
  };
  template <class Source>
  STRATA_DEVICE static Raw load(const Source& row, unsigned unit) {
    return {row.template quants<0>(unit, 0), row.template half<1>(unit)};
  }
  STRATA_DEVICE static void decode(const Raw& raw, unsigned, WeightUnit& out) {
    split_nibbles(raw.quants, out);
    set_scale(out, half_to_float(raw.d));
  }
};

struct CodecQ4_1 : Codec32<DType::Q4_1, 0, true> {
  struct Raw {
    Int4 quants;
    unsigned d_and_min;
  };
  template <class Source>
  STRATA_DEVICE static Raw load(const Source& row, unsigned unit) {
    return {row.template quants<0>(unit, 0), row.template word<1>(unit, 0)};
  }
  STRATA_DEVICE static void decode(const Raw& raw, unsigned, WeightUnit& out) {
    split_nibbles(raw.quants, out);
    set_scale(out, low_half(raw.d_and_min));
    set_min(out, high_half(raw.d_and_min));
  }
};

struct CodecQ5_0 : Codec32<DType::Q5_0, 16, false> {
  struct Raw {
    Int4 quants;
    unsigned high;
    std::uint16_t d;
  };
  template <class Source>
  STRATA_DEVICE static Raw load(const Source& row, unsigned unit) {
    return {row.template quants<0>(unit, 0), row.template word<1>(unit, 0),
            row.template half<2>(unit)};
  }
  STRATA_DEVICE static void decode(const Raw& raw, unsigned, WeightUnit& out) {
    split_nibbles(raw.quants, out);
    add_fifth_bits(raw.high, out);
    set_scale(out, half_to_float(raw.d));
  }
};

struct CodecQ5_1 : Codec32<DType::Q5_1, 0, true> {
  struct Raw {
    Int4 quants;
    Int2 rest;  // d and min, then the fifth bits
  };
  template <class Source>
  STRATA_DEVICE static Raw load(const Source& row, unsigned unit) {
    return {row.template quants<0>(unit, 0), row.template word2<1>(unit, 0)};
  }
  STRATA_DEVICE static void decode(const Raw& raw, unsigned, WeightUnit& out) {
    split_nibbles(raw.quants, out);
    add_fifth_bits(static_cast<unsigned>(raw.rest.y), out);
    set_scale(out, low_half(static_cast<unsigned>(raw.rest.x)));
    set_min(out, high_half(static_cast<unsigned>(raw.rest.x)));
  }
};

struct CodecQ8_0 : Codec32<DType::Q8_0, 0, false> {
  struct Raw {
    Int4 low, high;
    std::uint16_t d;
  };
  template <class Source>
  STRATA_DEVICE static Raw load(const Source& row, unsigned unit) {
    return {row.template quants<0>(unit, 0), row.template quants<0>(unit, 16),
            row.template half<1>(unit)};
  }
  STRATA_DEVICE static void decode(const Raw& raw, unsigned, WeightUnit& out) {
    STRATA_UNROLL
    for (int i = 0; i < 4; ++i) {
      out.q[i] = static_cast<int>(word_of(raw.low, i));
      out.q[4 + i] = static_cast<int>(word_of(raw.high, i));
    }
    set_scale(out, half_to_float(raw.d));
  }
};

/// Nibbles are indices into a table of 16 bytes.
STRATA_DEVICE void look_up_nibbles(const Int4& v, const NibbleTable& table, WeightUnit& unit) {
  STRATA_UNROLL
  for (int i = 0; i < 4; ++i) {
    const Int2 pair = look_up(word_of(v, i), table);
    unit.q[i] = pair.x;
    unit.q[4 + i] = pair.y;
  }
}

/// The non-linear steps of IQ4_NL and IQ4_XS: -127 -104 -83 -65 -49 -35 -22 -10 1 13 25 38 53 69 89
/// 113.
STRATA_DEVICE NibbleTable iq4_table() {
  return {{0xbfad9881u, 0xf6eaddcfu, 0x26190d01u, 0x71594535u}};
}
/// Twice the values of E2M1: 0 1 2 3 4 6 8 12, then the same below zero.
STRATA_DEVICE NibbleTable e2m1_table() {
  return {{0x03020100u, 0x0c080604u, 0xfdfeff00u, 0xf4f8fafcu}};
}

struct CodecIQ4_NL : Codec32<DType::IQ4_NL, 0, false> {
  using Raw = CodecQ4_0::Raw;
  template <class Source>
  STRATA_DEVICE static Raw load(const Source& row, unsigned unit) {
    return {row.template quants<0>(unit, 0), row.template half<1>(unit)};
  }
  STRATA_DEVICE static void decode(const Raw& raw, unsigned, WeightUnit& out) {
    look_up_nibbles(raw.quants, iq4_table(), out);
    set_scale(out, half_to_float(raw.d));
  }
};

struct CodecMXFP4 : Codec32<DType::MXFP4, 0, false> {
  struct Raw {
    Int4 quants;
    unsigned exponent;
  };
  template <class Source>
  STRATA_DEVICE static Raw load(const Source& row, unsigned unit) {
    return {row.template quants<0>(unit, 0), row.template byte<1>(unit)};
  }
  STRATA_DEVICE static void decode(const Raw& raw, unsigned, WeightUnit& out) {
    look_up_nibbles(raw.quants, e2m1_table(), out);
    // 2^(e - 128), for twice the values; below 2^-126 (e = 0, 1) it is denormal.
    const unsigned e = raw.exponent;
    set_scale(out, float_of(e < 2 ? 0x00200000u << e : (e - 1) << 23));
  }
};

}  // namespace strata::STRATA_SIMT
