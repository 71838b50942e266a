#pragma once

// Codecs of the dtypes with blocks of 32. A unit is one block.

#include "backends/cpu/kernels/codec.h"

namespace strata::cpu::STRATA_ISA {
namespace {

static constexpr int kHalves = 2 * kRows;  // bytes of 16 f16

// What the seven have in common: nothing is shared by the blocks of a unit.
template <int Bytes, class S>
struct Codec32 {
  static constexpr int kUnitBytes = Bytes;
  static constexpr int kUnitBlocks = 1;
  static constexpr int kPhases = 1;
  using Decoded = S;
  struct Unit {};
  static Unit open(const std::byte*) { return {}; }
};

struct CodecQ8_0 : Codec32<544, Shape<kFull, 0, 1, 0>> {
  template <int>
  static void decode(const Unit&, const std::byte* unit, int, Block<Decoded>& block) {
    block.scale[0] = load_halves(unit);
#pragma GCC unroll 8
    for (int g = 0; g < kGroups; ++g) block.w[g] = full64(load64(unit + kHalves + g * kGroupBytes));
  }
};

struct CodecQ4_0 : Codec32<288, Shape<15, 4, 1, 0>> {
  template <int>
  static void decode(const Unit&, const std::byte* unit, int, Block<Decoded>& block) {
    block.scale[0] = load_halves(unit);
    decode_nibbles(unit + kHalves, block);
  }
};

// m / -128 is exact.
static inline F32x16 min_of(F32x16 m) { return mul16(m, set16(-1.0F / 128)); }

struct CodecQ4_1 : Codec32<320, Shape<15, kNone, 1, 1>> {
  template <int>
  static void decode(const Unit&, const std::byte* unit, int, Block<Decoded>& block) {
    block.scale[0] = load_halves(unit);
    block.min[0] = min_of(load_halves(unit + kHalves));
    decode_nibbles(unit + 2 * kHalves, block);
  }
};

struct CodecQ5_0 : Codec32<352, Shape<31, 3, 1, 0>> {
  template <int>
  static void decode(const Unit&, const std::byte* unit, int, Block<Decoded>& block) {
    block.scale[0] = load_halves(unit);
    decode_nibbles(unit + kHalves + kGroupBytes, block);
    add_bit<4>(load64(unit + kHalves), block);
  }
};

struct CodecQ5_1 : Codec32<384, Shape<31, kNone, 1, 1>> {
  template <int>
  static void decode(const Unit&, const std::byte* unit, int, Block<Decoded>& block) {
    block.scale[0] = load_halves(unit);
    block.min[0] = min_of(load_halves(unit + kHalves));
    decode_nibbles(unit + 2 * kHalves + kGroupBytes, block);
    add_bit<4>(load64(unit + 2 * kHalves), block);
  }
};

struct CodecIQ4_NL : Codec32<288, Shape<kFull, 0, 1, 0>> {
  template <int>
  static void decode(const Unit&, const std::byte* unit, int, Block<Decoded>& block) {
    block.scale[0] = load_halves(unit);
    decode_codes(unit + kHalves, iq4_table(), block);
  }
};

// Twice the values of E2M1, + 16.
static constexpr std::uint8_t kE2m1Codes[16] = {16, 17, 18, 19, 20, 22, 24, 28,
                                                16, 15, 14, 13, 12, 10, 8,  4};

// 2^(e - 128) of 16 exponents: half the scale, for twice the values. What is below 2^-126 is
// denormal: e = 0 and 1. (One by one these took as long as all the rest of a block.)
static inline F32x16 exponent_scales(const std::byte* p) {
  typedef std::uint32_t U32x16 __attribute__((vector_size(64)));
  const U32x16 e = __builtin_convertvector(load_u8(p), U32x16);
  const U32x16 denormal = reinterpret_cast<U32x16>(e < 2);
  const U32x16 bits = (denormal & ((e + 1) << 21)) | (~denormal & ((e - 1) << 23));
  F32x16 scales;
  static_assert(sizeof(scales) == sizeof(bits));
  __builtin_memcpy(&scales, &bits, sizeof(scales));
  return scales;
}

struct CodecMXFP4 : Codec32<272, Shape<31, 3, 1, 0>> {
  template <int>
  static void decode(const Unit&, const std::byte* unit, int, Block<Decoded>& block) {
    block.scale[0] = exponent_scales(unit);
    decode_codes(unit + kRows, repeat64(kE2m1Codes), block);
  }
};

}  // namespace
}  // namespace strata::cpu::STRATA_ISA
