#pragma once

// Codecs of the dtypes with blocks of 256: units of 8 blocks of 32 columns. A scale is d times a
// whole number of at most 8 bits, exact in f32.

#include "backends/cpu/kernels/codec.h"

namespace strata::cpu::STRATA_ISA {
namespace {

template <int Bytes, class S, int Phases>
struct CodecK {
  static constexpr int kUnitBytes = Bytes;
  static constexpr int kUnitBlocks = 8;
  static constexpr int kPhases = Phases;  // decode<P> takes block j with j % kPhases == P
  using Decoded = S;
};

struct ScaleUnit {
  F32x16 d;
};
struct ScaleMinUnit {
  F32x16 d, dmin;  // dmin / 128: the minimum is subtracted, the sums are times -128
};

static inline ScaleMinUnit open_scale_min(const std::byte* unit) {
  return {load_halves(unit), mul16(load_halves(unit + 2 * kRows), set16(1.0F / 128))};
}

// The two 6-bit numbers of block j; P is j % 2.
template <int P>
static inline void six_bits(const std::byte* packed, int j, U8x16& a, U8x16& b) {
  const U8x16 low = load_u8(packed + j * kRows);
  const U8x16 high = load_u8(packed + (8 + j / 2) * kRows);
  a = (low & 15) | ((P == 0 ? high << 4 : high) & 0x30);
  b = (low >> 4) | ((P == 0 ? high << 2 : high >> 2) & 0x30);
}
static constexpr int kSixBytes = 12 * kRows;

struct CodecQ4_K : CodecK<2304, Shape<15, kNone, 1, 1>, 2> {
  using Unit = ScaleMinUnit;
  static Unit open(const std::byte* unit) { return open_scale_min(unit); }
  template <int P>
  static void decode(const Unit& u, const std::byte* unit, int j, Block<Decoded>& block) {
    U8x16 scale, min;
    six_bits<P>(unit + 4 * kRows, j, scale, min);
    block.scale[0] = mul16(u.d, row_bytes_f32(scale));
    block.min[0] = mul16(u.dmin, row_bytes_f32(min));
    decode_nibbles(unit + 4 * kRows + kSixBytes + j * 4 * kGroupBytes, block);
  }
};

struct CodecQ5_K : CodecK<2816, Shape<31, kNone, 1, 1>, 2> {
  using Unit = ScaleMinUnit;
  static Unit open(const std::byte* unit) { return open_scale_min(unit); }
  template <int P>
  static void decode(const Unit& u, const std::byte* unit, int j, Block<Decoded>& block) {
    U8x16 scale, min;
    six_bits<P>(unit + 4 * kRows, j, scale, min);
    block.scale[0] = mul16(u.d, row_bytes_f32(scale));
    block.min[0] = mul16(u.dmin, row_bytes_f32(min));
    const std::byte* quants = unit + 4 * kRows + kSixBytes + j * 5 * kGroupBytes;
    decode_nibbles(quants + kGroupBytes, block);
    add_bit<4>(load64(quants), block);
  }
};

struct CodecQ6_K : CodecK<3360, Shape<63, 2, 2, 0>, 1> {
  using Unit = ScaleUnit;
  static Unit open(const std::byte* unit) { return {load_halves(unit)}; }
  template <int>
  static void decode(const Unit& u, const std::byte* unit, int j, Block<Decoded>& block) {
    const std::byte* scales = unit + 2 * kRows + j * 2 * kRows;
    block.scale[0] = mul16(u.d, row_codes_f32(load_u8(scales)));
    block.scale[1] = mul16(u.d, row_codes_f32(load_u8(scales + kRows)));
    const std::byte* quants = unit + 18 * kRows + j * 6 * kGroupBytes;
    decode_nibbles(quants + 2 * kGroupBytes, block);
    add_pairs<4>(load64(quants), load64(quants + kGroupBytes), block);
  }
};

struct CodecIQ4_XS : CodecK<2176, Shape<kFull, 0, 1, 0>, 4> {
  using Unit = ScaleUnit;
  static Unit open(const std::byte* unit) { return {load_halves(unit)}; }
  template <int P>
  static void decode(const Unit& u, const std::byte* unit, int j, Block<Decoded>& block) {
    const U8x16 low = load_u8(unit + (2 + j / 2) * kRows);
    const U8x16 high = load_u8(unit + (6 + j / 4) * kRows);
    const U8x16 top = P == 3 ? high >> 2 : high << (P == 3 ? 0 : 4 - 2 * P);
    const U8x16 scale = ((P % 2 == 0 ? low & 15 : low >> 4) | (top & 0x30)) - 32;
    block.scale[0] = mul16(u.d, row_codes_f32(scale));
    decode_codes(unit + 8 * kRows + j * 4 * kGroupBytes, iq4_table(), block);
  }
};

// The sums of 16 products times 4-bit scales are whole numbers below 2^17: d comes after them.
struct CodecQ2_K : CodecK<1344, Shape<3, kNone, 2, 2, true>, 1> {
  using Unit = ScaleMinUnit;
  static Unit open(const std::byte* unit) { return open_scale_min(unit); }
  template <int>
  static void decode(const Unit& u, const std::byte* unit, int j, Block<Decoded>& block) {
    const std::byte* scales = unit + 4 * kRows + j * 2 * kRows;
    block.factor = u.d;
#pragma GCC unroll 2
    for (int i = 0; i < 2; ++i) {
      const U8x16 both = load_u8(scales + i * kRows);
      block.scale[i] = row_bytes_f32(both & 15);
      block.min[i] = mul16(u.dmin, row_bytes_f32(both >> 4));
    }
    const std::byte* quants = unit + 20 * kRows + j * 2 * kGroupBytes;
    decode_pairs(load64(quants), load64(quants + kGroupBytes), block);
  }
};

// Likewise, with 6-bit scales less 32.
struct CodecQ3_K : CodecK<1760, Shape<7, 5, 2, 0, true>, 2> {
  using Unit = ScaleUnit;
  static Unit open(const std::byte* unit) { return {load_halves(unit)}; }
  template <int P>
  static void decode(const Unit& u, const std::byte* unit, int j, Block<Decoded>& block) {
    U8x16 scale[2];
    six_bits<P>(unit + 2 * kRows, j, scale[0], scale[1]);
    block.factor = u.d;
    block.scale[0] = row_codes_f32(scale[0] - 32);
    block.scale[1] = row_codes_f32(scale[1] - 32);
    const std::byte* quants = unit + 2 * kRows + kSixBytes + j * 3 * kGroupBytes;
    decode_pairs(load64(quants + kGroupBytes), load64(quants + 2 * kGroupBytes), block);
    add_bit<2>(load64(quants), block);
  }
};

// With the scales worked into the weights, row by row through tables of 4 products.

// The four bytes of a row are offsets of its table in its 16 bytes.
static inline U8x64 row_offsets() {
  const std::uint8_t offsets[16] = {0, 0, 0, 0, 4, 4, 4, 4, 8, 8, 8, 8, 12, 12, 12, 12};
  return repeat64(offsets);
}
static inline U8x64 four_bytes(std::uint8_t a, std::uint8_t b, std::uint8_t c, std::uint8_t d) {
  const std::uint8_t bytes[16] = {a, b, c, d, a, b, c, d, a, b, c, d, a, b, c, d};
  return repeat64(bytes);
}

// Weights of 0 .. 3 times scales of 0 .. 15.
struct CodecQ2_KWide : CodecK<1344, Shape<63, kNone, 1, 2>, 1> {
  using Unit = ScaleMinUnit;
  static Unit open(const std::byte* unit) { return open_scale_min(unit); }
  template <int>
  static void decode(const Unit& u, const std::byte* unit, int j, Block<Decoded>& block) {
    Block<CodecQ2_K::Decoded> plain;
    CodecQ2_K::decode<0>(u, unit, j, plain);
    block.scale[0] = u.d;
    const std::byte* scales = unit + 4 * kRows + j * 2 * kRows;
#pragma GCC unroll 2
    for (int i = 0; i < 2; ++i) {
      block.min[i] = plain.min[i];
      const U8x64 once = each_row64(load_u8(scales + i * kRows) & 15);
      const U8x64 table = add64(and64(once, four_bytes(0, 255, 0, 255)),
                                and64(add64(once, once), four_bytes(0, 0, 255, 255)));
#pragma GCC unroll 4
      for (int g = 4 * i; g < 4 * i + 4; ++g)
        block.w[g] = lookup64(table, mix64(plain.w[g], fill64(255), row_offsets()));
    }
  }
};

// Weights of -4 .. 3 times scales of -32 .. 31, negated to fit from -128 to 124 (then d is, too).
struct CodecQ3_KWide : CodecK<1760, Shape<kFull, 0, 1, 0>, 2> {
  using Unit = ScaleUnit;
  static Unit open(const std::byte* unit) { return {mul16(load_halves(unit), set16(-1.0F))}; }
  template <int P>
  static void decode(const Unit& u, const std::byte* unit, int j, Block<Decoded>& block) {
    U8x16 scale[2];
    six_bits<P>(unit + 2 * kRows, j, scale[0], scale[1]);
    block.scale[0] = u.d;
    const std::byte* quants = unit + 2 * kRows + kSixBytes + j * 3 * kGroupBytes;
    decode_pairs(load64(quants + kGroupBytes), load64(quants + 2 * kGroupBytes), block);
    Block<Decoded> high;  // 1 where the third bit is set
#pragma GCC unroll 8
    for (int g = 0; g < kGroups; ++g) high.w[g] = fill64(0);
    add_bit<0>(load64(quants), high);
#pragma GCC unroll 2
    for (int i = 0; i < 2; ++i) {
      // 128 + (4 - w) * scale, modulo 256: what the low two bits make of it, less 4 scales for the
      // third.
      const U8x64 once = each_row64(scale[i] - 32);
      const U8x64 twice = add64(once, once);
      const U8x64 four = add64(twice, twice);
      U8x64 table = add64(and64(once, four_bytes(0, 255, 0, 255)), fill64(128));
      table = add64(table, and64(twice, four_bytes(0, 255, 255, 0)));
      table = add64(table, and64(four, four_bytes(255, 0, 0, 0)));
#pragma GCC unroll 4
      for (int g = 4 * i; g < 4 * i + 4; ++g) {
        const U8x64 low = lookup64(table, mix64(block.w[g], fill64(255), row_offsets()));
        const U8x64 set = sub64(fill64(0), high.w[g]);
        block.w[g] = full64(sub64(low, and64(four, set)));
      }
    }
  }
};

}  // namespace
}  // namespace strata::cpu::STRATA_ISA
