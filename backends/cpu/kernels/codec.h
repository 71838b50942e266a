#pragma once

// What the integer matmuls want to know of a dtype: a codec. It takes a 32-column block of a panel
// apart into 8 vectors of unsigned weights and what they are scaled with, which its Shape names:
//   kMax      the largest weight, or kFull
//   kOffset   what the weights have too much is 128 >> kOffset; kNone: nothing
//   kScales   1, or 2: of the block's halves of 16 columns
//   kMins     0; 1: added per sum of the 32 activations; 2: per sum of 16
//   kFactor   whether the scales are whole numbers (products with the sums are then exact) and a
//             common factor comes after them
// The arithmetic of a block, for every batch width the same:
//   in  = S * scale                       S: the exact sum of 32 products
//         S' * scale' + fma(S'' * scale'')   with 2 scales
//   in *= factor                          with kFactor
//   in  = fma(min, sum of x * -128, in)   for each of the mins (stored as minimum / -128)
//   acc = fma(in, scale of x, acc)
// Two dtypes have a second codec, for weights that meet many tokens: it works the whole-number
// scales into the weights. The sums, exact, are the same, and so is the rest.

#include "backends/cpu/kernels/bytes.h"
#include "backends/cpu/kernels/dequantize.h"
#include "backends/cpu/kernels/panels.h"

namespace strata::cpu::STRATA_ISA {

static constexpr int kGroups = 8;  // of 4 columns in a block
static constexpr int kNone = -1;

namespace {

template <int Max, int Offset, int Scales, int Mins, bool Factor = false>
struct Shape {
  static constexpr int kMax = Max;
  static constexpr int kOffset = Offset;
  static constexpr int kScales = Scales;
  static constexpr int kMins = Mins;
  static constexpr bool kFactor = Factor;
};

template <class S>
struct Block {
  U8x64 w[kGroups];
  F32x16 scale[2];
  F32x16 min[2];
  F32x16 factor;
};

}  // namespace

// Quants of a block, as panels.h names them.

static inline void low_and_high(U8x64 nibbles, U8x64& low, U8x64& high) {
  const U8x64 mask = fill64(15);
  low = and64(nibbles, mask);
  high = and64(shr64<4>(nibbles), mask);
}

template <class B>
static inline void decode_nibbles(const std::byte* quants, B& block) {
#pragma GCC unroll 4
  for (int v = 0; v < 4; ++v)
    low_and_high(load64(quants + v * kGroupBytes), block.w[v], block.w[4 + v]);
}

template <class B>
static inline void decode_codes(const std::byte* nibbles, U8x64 table, B& block) {
  decode_nibbles(nibbles, block);
#pragma GCC unroll 8
  for (int g = 0; g < kGroups; ++g) block.w[g] = lookup64(table, block.w[g]);
}

// The codebook's values + 128, then as Dots<kFull> wants them.
static inline U8x64 iq4_table() {
  std::uint8_t table[16];
  for (int i = 0; i < 16; ++i) table[i] = static_cast<std::uint8_t>(kIq4Values[i] + 128);
  return full64(repeat64(table));
}

// Bit From of every byte as its bit To.
template <int From, int To>
static inline U8x64 moved_bits(U8x64 bits) {
  if constexpr (From < To)
    return shl64<To - From>(bits);
  else
    return shr64<From - To>(bits);
}

// Adds bit G of `bits` to group G's weights, as their bit To.
template <int To, int G = 0, class B>
static inline void add_bit(U8x64 bits, B& block) {
  block.w[G] = mix64(moved_bits<G, To>(bits), fill64(1 << To), block.w[G]);
  if constexpr (G + 1 < kGroups) add_bit<To, G + 1>(bits, block);
}

// Adds the two bits of each group, as bits To and To + 1.
template <int To, int G = 0, class B>
static inline void add_pairs(U8x64 first, U8x64 second, B& block) {
  const U8x64 moved = moved_bits<2 * (G % 4), To>(G < 4 ? first : second);
  block.w[G] = mix64(moved, fill64(3 << To), block.w[G]);
  if constexpr (G + 1 < kGroups) add_pairs<To, G + 1>(first, second, block);
}

template <int G = 0, class B>
static inline void decode_pairs(U8x64 first, U8x64 second, B& block) {
  block.w[G] = and64(moved_bits<2 * (G % 4), 0>(G < 4 ? first : second), fill64(3));
  if constexpr (G + 1 < kGroups) decode_pairs<G + 1>(first, second, block);
}

static inline F32x16 load_halves(const std::byte* p) {
  std::uint16_t halves[kRows];
  __builtin_memcpy(halves, p, sizeof(halves));
  return load16_f16(halves);
}

static inline U8x16 fill_u8(int byte) { return U8x16{} + static_cast<std::uint8_t>(byte); }

}  // namespace strata::cpu::STRATA_ISA
