#pragma once

// One decoded block times one token, and the panel walks of `one` and `few` made of it.

#include "backends/cpu/kernels/codec.h"
#include "backends/cpu/kernels/linear_int8.h"

namespace strata::cpu::STRATA_ISA {

// Where a row of Layout::quantized has what belongs to a block (panels.h).
static inline std::int64_t scale_at(std::int64_t k, std::int64_t block) { return k + 4 * block; }
static inline std::int64_t sum_at(std::int64_t k, std::int64_t block) {
  return k + k / 8 + 4 * block;
}
static inline std::int64_t halves_at(std::int64_t k, std::int64_t block) {
  return k + k / 4 + 8 * block;
}

static inline std::int32_t i32_at(const std::byte* p) {
  std::int32_t value;
  __builtin_memcpy(&value, p, sizeof(value));
  return value;
}
static inline F32x16 f32_at(const std::byte* p) {
  float value;
  __builtin_memcpy(&value, p, sizeof(value));
  return set16(value);
}

// What sums of products begin at: minus what the weights' offset will have added. `sum` is -128
// times the sum of the activations.
template <class S>
static inline I32x16 start_of(const std::byte* sum) {
  if constexpr (S::kOffset == kNone || (S::kMax == kFull && kFullIsSigned))
    return set32(0);
  else
    return sar32<S::kOffset>(set32(i32_at(sum)));
}

// Groups [G, G + the dots') of the block times the activations at x.
template <int From, int Groups, int G = 0, class D>
static inline void dot_groups(D& dots, const U8x64* w, const std::byte* x) {
  dots.template step<G>(w[From + G], four_at(x + 4 * (From + G)));
  if constexpr (G + 1 < Groups) dot_groups<From, Groups, G + 1>(dots, w, x);
}

// acc and what the block adds to it (codec.h).
template <class S>
static inline F32x16 add_block(F32x16 acc, const Block<S>& block, const std::byte* x,
                               std::int64_t k, std::int64_t b) {
  const std::byte* values = x + b * kBlock;
  F32x16 in;
  if constexpr (S::kScales == 1) {
    Dots<S::kMax, kGroups> dots;
    dots.begin(start_of<S>(x + sum_at(k, b)));
    dot_groups<0, kGroups>(dots, block.w, values);
    in = mul16(to_f32(dots.end()), block.scale[0]);
  } else {
    Dots<S::kMax, kGroups / 2> first, second;
    first.begin(start_of<S>(x + halves_at(k, b)));
    dot_groups<0, kGroups / 2>(first, block.w, values);
    second.begin(start_of<S>(x + halves_at(k, b) + 4));
    dot_groups<kGroups / 2, kGroups / 2>(second, block.w, values);
    in = mul16(to_f32(first.end()), block.scale[0]);
    in = fma16(to_f32(second.end()), block.scale[1], in);
  }
  if constexpr (S::kFactor) in = mul16(in, block.factor);
  if constexpr (S::kMins == 1)
    in = fma16(block.min[0], to_f32(set32(i32_at(x + sum_at(k, b)))), in);
  if constexpr (S::kMins == 2) {
    in = fma16(block.min[0], to_f32(set32(i32_at(x + halves_at(k, b)))), in);
    in = fma16(block.min[1], to_f32(set32(i32_at(x + halves_at(k, b) + 4))), in);
  }
  return fma16(in, f32_at(x + scale_at(k, b)), acc);
}

// How far ahead of its loads the walk of one token asks for memory: about what is under way in the
// time that memory takes to answer. Beyond the panel's end lies the next panel, which is next or,
// for the two matrices of a gated pair, next but one: there the hardware's own guess ends.
static constexpr std::int64_t kAheadBytes = 1536;

static inline void ask_for(const std::byte* from, std::int64_t bytes) {
  for (std::int64_t at = 0; at < bytes; at += 64) __builtin_prefetch(from + at);
}

// Calls what(block, b) for `count` decoded blocks of a panel, b from `first` on.
template <class C, class What>
__attribute__((always_inline)) static inline void each_block(const std::byte* units,
                                                             std::int64_t first, std::int64_t count,
                                                             const What& what) {
  for (std::int64_t b = first; b < first + count; b += C::kUnitBlocks, units += C::kUnitBytes) {
    const auto unit = C::open(units);
    for (int j = 0; j < C::kUnitBlocks; j += C::kPhases) {
      Block<typename C::Decoded> block;
      C::template decode<0>(unit, units, j, block);
      what(block, b + j);
      if constexpr (C::kPhases >= 2) {
        C::template decode<1>(unit, units, j + 1, block);
        what(block, b + j + 1);
      }
      if constexpr (C::kPhases == 4) {
        C::template decode<2>(unit, units, j + 2, block);
        what(block, b + j + 2);
        C::template decode<3>(unit, units, j + 3, block);
        what(block, b + j + 3);
      }
    }
  }
}

template <class C>
static void multiply_one(const std::byte* units, Blocks blocks, const std::byte* x, float* sums) {
  F32x16 acc = load16(sums);
  const std::byte* ahead = units + kAheadBytes;
  constexpr std::int64_t kBlockBytes = C::kUnitBytes / C::kUnitBlocks;
  each_block<C>(units, blocks.first, blocks.count,
                [&](const auto& block, std::int64_t b) __attribute__((always_inline)) {
                  ask_for(ahead, kBlockBytes);
                  ahead += kBlockBytes;
                  acc = add_block(acc, block, x, blocks.k, b);
                });
  store16(sums, acc);
}

template <class C>
static void multiply_few(const std::byte* units, Blocks blocks, const std::byte* const* x,
                         int tokens, float* sums) {
  each_block<C>(units, blocks.first, blocks.count,
                [&](const auto& block, std::int64_t b) __attribute__((always_inline)) {
                  for (int t = 0; t < tokens; ++t) {
                    float* at = sums + t * kRows;
                    store16(at, add_block(load16(at), block, x[t], blocks.k, b));
                  }
                });
}

}  // namespace strata::cpu::STRATA_ISA
