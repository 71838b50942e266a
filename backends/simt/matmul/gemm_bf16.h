#pragma once

#include "backends/simt/any_codec.h"
#include "backends/simt/common.h"
#include "backends/simt/matmul/launches.h"
#include "backends/simt/matmul/tiles.h"
#include "fragments.h"

// x rounded to bf16 times weights rounded to bf16, sums in f32: for prompts. A block keeps 64
// columns of its rows of w and of x in shared memory, while the next 64 are on their way into
// registers. Columns are taken in the order of the units of the weights (weights.h), so that a unit
// is read and decoded by one thread whatever columns it has.
namespace strata::STRATA_SIMT {

inline constexpr int kGemmUnits = 2;                ///< of a row, at a time
inline constexpr int kGemmDepth = 32 * kGemmUnits;  ///< columns
inline constexpr int kGemmPitch = kGemmDepth + 8;   ///< halves: rows begin on other banks
inline constexpr int kGemmChunks = kGemmDepth / 8;  ///< 16-byte pieces of a row

/// How a block's rows are shared out: warps by rows of w and by rows of x, fragments of 16 rows of
/// each warp likewise. Two fragments of w make a gated pair.
template <int warps_w, int warps_x, int fragments_x>
struct GemmTile {
  static constexpr int kWarpsW = warps_w;
  static constexpr int kWarps = warps_w * warps_x;
  static constexpr int kFragmentsW = 2;
  static constexpr int kFragmentsX = fragments_x;
  static constexpr int kRows = 16 * kFragmentsW * warps_w;
  static constexpr int kTokens = 16 * fragments_x * warps_x;
  static constexpr int kLeastThreads = 32 * kWarps;
  static constexpr int kMostThreads = kMaxLanes * kWarps;
  static constexpr int kUnitsPerThread = kRows * kGemmUnits / kLeastThreads;
  static constexpr int kChunksPerThread = kTokens * kGemmChunks / kLeastThreads;
  static constexpr int kSharedBytes = (kRows + kTokens) * kGemmPitch * 2;
};
using WideTile = GemmTile<4, 2, 4>;  // 128 rows of w, 128 of x
using FlatTile = GemmTile<4, 1, 2>;  // 128 rows of w, 32 of x

/// Row `i` of a block's tile of w: of gated pairs, 16 of w and the same 16 of w_up in turns.
struct GemmRow {
  int row;
  bool up;
};
STRATA_DEVICE GemmRow gemm_row(bool gated, int first, int i) {
  if (!gated) return {first + i, false};
  return {first + i / 32 * 16 + i % 16, i / 16 % 2 == 1};
}

/// 8 columns of a row of bf16 from `column` on; zeros beyond k.
STRATA_DEVICE Int4 load_bf16(const std::byte* row, int column, int k, bool aligned) {
  const auto* at = reinterpret_cast<const std::uint16_t*>(row) + column;
  if (aligned && column < k) return load16(at);
  unsigned words[4] = {};
  STRATA_UNROLL
  for (int i = 0; i < 8; ++i)
    if (column + i < k) words[i / 2] |= static_cast<unsigned>(at[i]) << (i % 2 * 16);
  return {static_cast<int>(words[0]), static_cast<int>(words[1]), static_cast<int>(words[2]),
          static_cast<int>(words[3])};
}

/// The threads' part of the next columns of x.
template <class Weights, class Tile>
STRATA_DEVICE void fetch_x(const MatmulJob& job, const TokenRange& range, int step,
                           Int4 (&chunks)[Tile::kChunksPerThread]) {
  STRATA_UNROLL
  for (int j = 0; j < Tile::kChunksPerThread; ++j) {
    const int i = thread_x() + j * threads_x();
    const int token = i / kGemmChunks;
    const int piece = i % kGemmChunks / 2;
    const int column = Weights::column(step * kGemmUnits + piece / 2, piece % 2, job) + i % 2 * 8;
    chunks[j] = {0, 0, 0, 0};
    if (token >= range.count) continue;
    const int row = x_row(job.routes, out_row(job.routes, range, token));
    if (column < job.k)
      chunks[j] = load_bf16(job.x + row * job.x_stride, column, job.k, job.aligned);
  }
}
template <class Tile>
STRATA_DEVICE void store_x(const Int4 (&chunks)[Tile::kChunksPerThread], std::uint16_t* tile) {
  STRATA_UNROLL
  for (int j = 0; j < Tile::kChunksPerThread; ++j) {
    const int i = thread_x() + j * threads_x();
    if (i < Tile::kTokens * kGemmChunks)
      store16(tile + i / kGemmChunks * kGemmPitch + i % kGemmChunks * 8, chunks[j]);
  }
}

template <class Weights, class Tile>
STRATA_DEVICE void fetch_w(const MatmulJob& job, const MatmulMatrix& m, int expert, int first,
                           int step, typename Weights::Raw (&raw)[Tile::kUnitsPerThread]) {
  STRATA_UNROLL
  for (int j = 0; j < Tile::kUnitsPerThread; ++j) {
    const int i = thread_x() + j * threads_x();
    const int unit = step * kGemmUnits + i % kGemmUnits;
    if (i >= Tile::kRows * kGemmUnits || unit >= Weights::units(job.k)) continue;
    const GemmRow at = gemm_row(job.gated, first, i / kGemmUnits);
    raw[j] = Weights::load(job, place_of_row(job, m, expert, at.up, at.row, Weights::blocks(job.k)),
                           unit);
  }
}
template <class Weights, class Tile>
STRATA_DEVICE void store_w(const MatmulJob& job, int step,
                           const typename Weights::Raw (&raw)[Tile::kUnitsPerThread],
                           std::uint16_t* tile) {
  STRATA_UNROLL
  for (int j = 0; j < Tile::kUnitsPerThread; ++j) {
    const int i = thread_x() + j * threads_x();
    if (i >= Tile::kRows * kGemmUnits) continue;
    const int unit = step * kGemmUnits + i % kGemmUnits;
    std::uint16_t* to = tile + i / kGemmUnits * kGemmPitch + i % kGemmUnits * 32;
    Int4 halves[4] = {};
    if (unit < Weights::units(job.k)) Weights::decode(job, raw[j], unit, halves);
    STRATA_UNROLL
    for (int c = 0; c < 4; ++c) store16(to + 8 * c, halves[c]);
  }
}

/// The products of what is in shared memory; sums[w][x] of the warp's fragments.
template <class Tile>
STRATA_DEVICE void multiply_tiles(const std::uint16_t* w_tile, const std::uint16_t* x_tile,
                                  Accumulator (&sums)[Tile::kFragmentsW][Tile::kFragmentsX]) {
  const int row = warp() % Tile::kWarpsW * Tile::kFragmentsW * 16;
  const int token = warp() / Tile::kWarpsW * Tile::kFragmentsX * 16;
  STRATA_UNROLL
  for (int k = 0; k < kGemmDepth; k += 16) {
    Fragment w[Tile::kFragmentsW];
    STRATA_UNROLL
    for (int i = 0; i < Tile::kFragmentsW; ++i)
      w[i] = load_fragment(w_tile + (row + 16 * i) * kGemmPitch + k, kGemmPitch);
    STRATA_UNROLL
    for (int j = 0; j < Tile::kFragmentsX; ++j) {
      const Fragment x = load_fragment(x_tile + (token + 16 * j) * kGemmPitch + k, kGemmPitch);
      STRATA_UNROLL
      for (int i = 0; i < Tile::kFragmentsW; ++i) multiply(sums[i][j], w[i], x);
    }
  }
}

template <class Tile>
STRATA_DEVICE void write_tiles(const MatmulJob& job, const MatmulMatrix& m, const TokenRange& range,
                               int first,
                               Accumulator (&sums)[Tile::kFragmentsW][Tile::kFragmentsX]) {
  const int rows = job.gated ? 16 : 32;
  const int row = first + warp() % Tile::kWarpsW * rows;
  const int token = warp() / Tile::kWarpsW * Tile::kFragmentsX * 16;
  STRATA_UNROLL
  for (int j = 0; j < Tile::kFragmentsX; ++j) {
    if (job.gated) {  // both are the same elements of the lane
      float up[8];
      int next = 0;
      for_each_element(sums[1][j], [&](int, int, float& value) { up[next++] = value; });
      next = 0;
      for_each_element(sums[0][j],
                       [&](int, int, float& value) { value = gate_of(value, up[next++]); });
    }
    STRATA_UNROLL
    for (int i = 0; i < Tile::kFragmentsW; ++i) {
      if (job.gated && i == 1) continue;
      for_each_element(sums[i][j], [&](int r, int t, float& value) {
        const int column = row + 16 * i + r;
        const int x = token + 16 * j + t;
        if (column < m.n && x < range.count)
          write_result(m, out_row(job.routes, range, x), column, value);
      });
    }
  }
}

/// Blocks (tiles of all rows of the matrices, tiles of rows of x). Weights say how a unit is loaded
/// and decoded to bf16: gemm_weights.h.
template <class Weights, class Tile>
STRATA_KERNEL STRATA_BOUNDS(Tile::kMostThreads / kMaxLanes *
                            lane_count()) void gemm_bf16(MatmulJob job) {
  const TokenRange range = tile_tokens(job, Tile::kTokens);
  if (range.count <= 0) return;
  const MatmulMatrix m = matrix_of_block(job);
  const int first = (block_x() - m.first_block) * (job.gated ? Tile::kRows / 2 : Tile::kRows);
  auto* w_tile = dynamic_shared<std::uint16_t>();
  std::uint16_t* x_tile = w_tile + Tile::kRows * kGemmPitch;
  Accumulator sums[Tile::kFragmentsW][Tile::kFragmentsX];
  typename Weights::Raw raw[Tile::kUnitsPerThread] = {};
  Int4 chunks[Tile::kChunksPerThread] = {};
  fetch_w<Weights, Tile>(job, m, range.expert, first, 0, raw);
  fetch_x<Weights, Tile>(job, range, 0, chunks);
  const int steps = (Weights::units(job.k) + kGemmUnits - 1) / kGemmUnits;
  for (int step = 0; step < steps; ++step) {
    store_w<Weights, Tile>(job, step, raw, w_tile);
    store_x<Tile>(chunks, x_tile);
    sync_block();
    if (step + 1 < steps) {
      fetch_w<Weights, Tile>(job, m, range.expert, first, step + 1, raw);
      fetch_x<Weights, Tile>(job, range, step + 1, chunks);
    }
    multiply_tiles<Tile>(w_tile, x_tile, sums);
    sync_block();
  }
  write_tiles<Tile>(job, m, range, first, sums);
}

/// Enqueues it for the whole job.
template <class Weights, class Tile>
void launch_gemm_tile(Stream& stream, MatmulJob job, int lanes) {
  const unsigned blocks = divide_rows(job, job.gated ? Tile::kRows / 2 : Tile::kRows);
  const auto tiles = static_cast<unsigned>(most_tiles(job, Tile::kTokens));
  launch(stream, gemm_bf16<Weights, Tile>, {blocks, tiles},
         static_cast<unsigned>(Tile::kWarps * lanes), Tile::kSharedBytes, job);
}

/// With tiles as flat as there are rows.
template <class Weights>
void launch_gemm(Stream& stream, const MatmulJob& job, int lanes) {
  const int rows = job.routes.offsets == nullptr ? job.rows : job.rows / job.routes.experts;
  if (rows <= 2 * FlatTile::kTokens)
    launch_gemm_tile<Weights, FlatTile>(stream, job, lanes);
  else
    launch_gemm_tile<Weights, WideTile>(stream, job, lanes);
}

}  // namespace strata::STRATA_SIMT
