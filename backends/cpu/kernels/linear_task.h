#pragma once

#include <cstddef>
#include <cstdint>

#include "runtime/core/dtype.h"

namespace strata::cpu {

/// A matmul as the kernels see it: plain addresses and bytes, so that a kernel needs no type of the
/// runtime. A kernel is given a range of w's rows, that is of out's columns, and computes
///   out = y + bias + residual,  y = x * w^T  or, with w_up,  silu(x * w^T) * (x * w_up^T)
/// each addition rounded on its own, in this order.
struct LinearTask {
  const std::byte* x;     ///< (x rows, k) in the layout that the kernel reads
  std::int64_t x_stride;  ///< bytes from one row of x to the next
  const std::byte* w;     ///< (n, k): rows, or panels16
  const std::byte* w_up;  ///< null, or a second matrix like w (a gated pair); bias is then null
  std::int64_t w_stride;  ///< bytes from one row of w to the next; of a row's share of a panel
  DType w_dtype;
  bool w_panels;  ///< w is in Layout::panels16
  std::int64_t n;
  std::int64_t k;
  const float* bias;          ///< (n), or null
  const std::byte* residual;  ///< (out rows, n) f32, or null; may be `out` itself
  std::int64_t residual_stride;
  float* out;                  ///< (out rows, n)
  std::int64_t out_stride;     ///< bytes from one row of out to the next
  std::int64_t rows;           ///< how many rows to compute
  const std::int32_t* routes;  ///< null: row r of x gives row r of out; else the (rows) rows of out
  std::int32_t routes_per_x;   ///< row routes[r] of out comes from row routes[r] / this of x
};

/// Rows of w that a float kernel converts at once into its scratch.
inline constexpr std::int64_t kScratchRows = 16;

/// The float kernels read rows of w where they lie, in 64 steps of at most 64 bytes at a time. From
/// so many tokens on it pays to lay these columns of so many rows out one after the other first:
/// rows whose distance is a large power of two fall on the same sets of the caches.
inline constexpr std::int64_t kFloatChunkSteps = 64;
inline constexpr std::int64_t kFloatRows = 64;
inline constexpr std::int64_t kFloatPanelTokens = 256;
inline constexpr std::int64_t kFloatMostTokens = 512;
/// Their scratch then: the panel, and sums of the tokens, twice for a gated pair.
inline constexpr std::int64_t kFloatPanelBytes = kFloatRows * kFloatChunkSteps * 64;
inline constexpr std::int64_t kFloatSumBytes = kFloatMostTokens * kFloatRows * 4;
inline constexpr std::int64_t kFloatScratchBytes = kFloatPanelBytes + 2 * kFloatSumBytes;

/// Pieces that the integer kernels work in where there are many tokens: so many columns of so many
/// rows of w are expanded at a time and meet so many tokens.
inline constexpr std::int64_t kInt8Columns = 512;
inline constexpr std::int64_t kInt8TileRows = 32;
inline constexpr std::int64_t kInt8Tokens = 512;

/// Their scratch, one after the other: a panel of weights that lie in the file's rows, packed (at
/// most 34 bytes per 32 columns); expanded weights (at most 32 bytes and 3 floats per row and 32
/// columns); sums of the tokens, twice for a gated pair.
inline constexpr std::int64_t kInt8PackedBytes = kInt8Columns / 32 * 16 * 34;
inline constexpr std::int64_t kInt8WideBytes = kInt8Columns / 32 * kInt8TileRows * (32 + 3 * 4);
inline constexpr std::int64_t kInt8SumBytes = kInt8TileRows * 4;

}  // namespace strata::cpu
