#pragma once

// How the parts of the integer matmul meet. linear_int8.cpp walks over panels and tokens and calls
// the functions of the weights' dtype, which linear_int8_32.cpp and linear_int8_k.cpp make of its
// codec (codec.h). Three ways to multiply, with the same bits:
//   one    the panel is decoded in registers, for a single token
//   few    each block is decoded once and meets all tokens
//   tile   some columns of kTilePanels panels are expanded to bytes and floats in scratch, which
//          the level-1 cache holds, and meet the tokens in tiles of registers

#include "backends/cpu/kernels/bytes.h"
#include "backends/cpu/kernels/panels.h"

namespace strata::cpu::STRATA_ISA {

// A tile of registers: kTilePanels panels and kTileTokens tokens, or one token less, so that any
// number of tokens from kTileTokens * (kTileTokens - 2) on is made of whole tiles.
#if defined(__AVX512VNNI__)
static constexpr int kTilePanels = 2;
static constexpr int kTileTokens = 5;
#else
static constexpr int kTilePanels = 1;
static constexpr int kTileTokens = 3;
#endif
static constexpr int kTileRows = kTilePanels * kRows;

// Blocks of 32 columns, [first, first + count) of rows of k columns.
struct Blocks {
  std::int64_t k;
  std::int64_t first;
  std::int64_t count;
};

// Sums are read and written: columns come in pieces. x: rows of Layout::quantized.
struct PanelKernels {
  std::int64_t unit_columns;
  std::int64_t unit_bytes;
  // sums[16]
  void (*one)(const std::byte* units, Blocks blocks, const std::byte* x, float* sums);
  // sums[tokens][16]
  void (*few)(const std::byte* units, Blocks blocks, const std::byte* const* x, int tokens,
              float* sums);
  // The panel's blocks, as panel `index` of kTilePanels.
  void (*expand)(const std::byte* units, std::int64_t count, int index, std::byte* wide);
  // sums[tokens][kTileRows], for kTileTokens or one token less
  void (*tile)(const std::byte* wide, Blocks blocks, const std::byte* const* x, int tokens,
               float* sums);
};

extern const PanelKernels kernels_q8_0, kernels_q4_0, kernels_q4_1, kernels_q5_0, kernels_q5_1,
    kernels_iq4_nl, kernels_mxfp4;
extern const PanelKernels kernels_q2_k, kernels_q3_k, kernels_q4_k, kernels_q5_k, kernels_q6_k,
    kernels_iq4_xs;

}  // namespace strata::cpu::STRATA_ISA
