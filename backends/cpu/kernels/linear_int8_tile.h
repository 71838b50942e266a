#pragma once

// Expanded panels and their tiles. Expanded, a block of a panel is 8 vectors of weights and then
// vectors of 16 floats: scales and mins, as many as the Shape has.

#include "backends/cpu/kernels/linear_int8_block.h"

namespace strata::cpu::STRATA_ISA {

template <class S>
static constexpr int wide_floats() {
  return S::kScales + S::kMins;
}
template <class S>
static constexpr int wide_panel_bytes() {
  return (kGroups + wide_floats<S>()) * kGroupBytes;
}

static inline void store_floats(std::byte* to, F32x16 a) {
  store16(reinterpret_cast<float*>(to), a);
}
static inline F32x16 load_floats(const std::byte* from) {
  return load16(reinterpret_cast<const float*>(from));
}

template <class S>
static inline void store_wide(const Block<S>& block, std::byte* to) {
#pragma GCC unroll 8
  for (int g = 0; g < kGroups; ++g, to += kGroupBytes) store64(to, block.w[g]);
#pragma GCC unroll 2
  for (int i = 0; i < S::kScales; ++i, to += kGroupBytes) store_floats(to, block.scale[i]);
#pragma GCC unroll 2
  for (int i = 0; i < S::kMins; ++i, to += kGroupBytes) store_floats(to, block.min[i]);
}

template <class C>
static void expand_panel(const std::byte* units, std::int64_t count, int index, std::byte* wide) {
  constexpr int kPanelBytes = wide_panel_bytes<typename C::Decoded>();
  wide += index * kPanelBytes;
  each_block<C>(units, 0, count,
                [&](const auto& block, std::int64_t b) __attribute__((always_inline)) {
                  store_wide(block, wide + b * kTilePanels * kPanelBytes);
                });
}

// Values of a tile: T tokens times the panels.
template <class V, int T>
struct Tile {
  V v[T][kTilePanels];
};

// Adds groups [G, Groups) of the part's to the dots; `values` are the tokens' from its start.
template <class S, int T, int Groups, int G = 0>
static inline void tile_groups(Tile<Dots<S::kMax, Groups>, T>& dots, const std::byte* wide,
                               const std::byte* const* x, std::int64_t at) {
  U8x64 w[kTilePanels];
#pragma GCC unroll 2
  for (int p = 0; p < kTilePanels; ++p)
    w[p] = load64(wide + p * wide_panel_bytes<S>() + G * kGroupBytes);
#pragma GCC unroll 8
  for (int t = 0; t < T; ++t) {
    const Four four = four_at(x[t] + at + 4 * G);
#pragma GCC unroll 2
    for (int p = 0; p < kTilePanels; ++p) dots.v[t][p].template step<G>(w[p], four);
  }
  if constexpr (G + 1 < Groups) tile_groups<S, T, Groups, G + 1>(dots, wide, x, at);
}

// Products of one part of a block (a half where it has two scales) times the part's scale, added
// to `in` where it is not the first.
template <class S, int T, int Part>
static inline void tile_part(Tile<F32x16, T>& in, const std::byte* wide, const std::byte* const* x,
                             std::int64_t k, std::int64_t b) {
  constexpr int kPartGroups = kGroups / S::kScales;
  Tile<Dots<S::kMax, kPartGroups>, T> dots;
  const std::int64_t sums = S::kScales == 1 ? sum_at(k, b) : halves_at(k, b) + 4 * Part;
#pragma GCC unroll 8
  for (int t = 0; t < T; ++t) {
    const I32x16 start = start_of<S>(x[t] + sums);
#pragma GCC unroll 2
    for (int p = 0; p < kTilePanels; ++p) dots.v[t][p].begin(start);
  }
  tile_groups<S, T, kPartGroups>(dots, wide + Part * kPartGroups * kGroupBytes, x,
                                 b * kBlock + Part * kPartGroups * 4);
#pragma GCC unroll 2
  for (int p = 0; p < kTilePanels; ++p) {
    const F32x16 scale =
        load_floats(wide + p * wide_panel_bytes<S>() + (kGroups + Part) * kGroupBytes);
#pragma GCC unroll 8
    for (int t = 0; t < T; ++t) {
      const F32x16 sum = to_f32(dots.v[t][p].end());
      in.v[t][p] = Part == 0 ? mul16(sum, scale) : fma16(sum, scale, in.v[t][p]);
    }
  }
}

// The arithmetic of add_block after the scales.
template <class S, int T>
static inline void tile_rest(Tile<F32x16, T>& acc, Tile<F32x16, T>& in, const std::byte* wide,
                             const std::byte* const* x, std::int64_t k, std::int64_t b) {
  const std::byte* floats = wide + (kGroups + S::kScales) * kGroupBytes;
#pragma GCC unroll 8
  for (int t = 0; t < T; ++t) {
#pragma GCC unroll 2
    for (int i = 0; i < S::kMins; ++i) {
      const F32x16 sum =
          to_f32(set32(i32_at(x[t] + (S::kMins == 1 ? sum_at(k, b) : halves_at(k, b) + 4 * i))));
#pragma GCC unroll 2
      for (int p = 0; p < kTilePanels; ++p)
        in.v[t][p] = fma16(load_floats(floats + p * wide_panel_bytes<S>() + i * kGroupBytes), sum,
                           in.v[t][p]);
    }
    const F32x16 scale = f32_at(x[t] + scale_at(k, b));
#pragma GCC unroll 2
    for (int p = 0; p < kTilePanels; ++p) acc.v[t][p] = fma16(in.v[t][p], scale, acc.v[t][p]);
  }
}

template <class S, int T>
static void run_tile(const std::byte* wide, Blocks blocks, const std::byte* const* rows,
                     float* sums) {
  const std::byte* x[T];
#pragma GCC unroll 8
  for (int t = 0; t < T; ++t) x[t] = rows[t];
  Tile<F32x16, T> acc;
#pragma GCC unroll 8
  for (int t = 0; t < T; ++t)
#pragma GCC unroll 2
    for (int p = 0; p < kTilePanels; ++p) acc.v[t][p] = load16(sums + t * kTileRows + p * kRows);
  for (std::int64_t b = blocks.first; b < blocks.first + blocks.count; ++b) {
    Tile<F32x16, T> in;
    tile_part<S, T, 0>(in, wide, x, blocks.k, b);
    if constexpr (S::kScales == 2) tile_part<S, T, 1>(in, wide, x, blocks.k, b);
    tile_rest<S, T>(acc, in, wide, x, blocks.k, b);
    wide += kTilePanels * wide_panel_bytes<S>();
  }
#pragma GCC unroll 8
  for (int t = 0; t < T; ++t)
#pragma GCC unroll 2
    for (int p = 0; p < kTilePanels; ++p) store16(sums + t * kTileRows + p * kRows, acc.v[t][p]);
}

template <class S>
static void multiply_tile(const std::byte* wide, Blocks blocks, const std::byte* const* x,
                          int tokens, float* sums) {
  static_assert(!S::kFactor);
  if (tokens == kTileTokens)
    run_tile<S, kTileTokens>(wide, blocks, x, sums);
  else
    run_tile<S, kTileTokens - 1>(wide, blocks, x, sums);
}

// Codec C for one and few tokens, W for many: with scales worked into the weights perhaps.
template <class C, class W = C>
static constexpr PanelKernels kernels_of() {
  using S = typename W::Decoded;
  static_assert(kInt8Columns % (kBlock * C::kUnitBlocks) == 0);
  static_assert(kTilePanels * wide_panel_bytes<S>() * (kInt8Columns / kBlock) <= kInt8WideBytes);
  static_assert(C::kUnitBytes / C::kUnitBlocks * (kInt8Columns / kBlock) <= kInt8PackedBytes);
  return {C::kUnitBlocks * kBlock, C::kUnitBytes,   multiply_one<C>,
          multiply_few<C>,         expand_panel<W>, multiply_tile<S>};
}

}  // namespace strata::cpu::STRATA_ISA
