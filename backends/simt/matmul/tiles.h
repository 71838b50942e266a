#pragma once

#include "backends/simt/matmul/job.h"
#include "backends/simt/weights.h"

// What the tiled matmuls share: a block makes kRows rows of w times kTokens rows of x.
namespace strata::STRATA_SIMT {

/// The rows of x of this block: tile block_y() of them, or of the routes, where a tile has one
/// expert and there may be more tiles than needed. None is {.count = 0}.
STRATA_DEVICE TokenRange tile_tokens(const MatmulJob& job, int tile_tokens) {
  int tile = block_y();
  if (job.routes.offsets == nullptr) {
    const int first = tile * tile_tokens;
    return {first, min_of(tile_tokens, job.rows - first), 0};
  }
  int begin = job.routes.offsets[0];
  for (int expert = 0; expert < job.routes.experts; ++expert) {
    const int end = job.routes.offsets[expert + 1];
    const int tiles = (end - begin + tile_tokens - 1) / tile_tokens;
    if (tile < tiles) {
      const int first = begin + tile * tile_tokens;
      return {first, min_of(tile_tokens, end - first), expert};
    }
    tile -= tiles;
    begin = end;
  }
  return {0, 0, 0};
}

/// Tiles of at most `tile_tokens` that tile_tokens() hands out.
inline std::int64_t most_tiles(const MatmulJob& job, int tile_tokens) {
  const std::int64_t tiles = (job.rows + tile_tokens - 1) / tile_tokens;
  if (job.routes.offsets == nullptr) return tiles;
  return min_of<std::int64_t>(job.rows, tiles + job.routes.experts);
}

/// Row `row` of w, or of w_up, as a place; rows beyond the matrix are its last.
STRATA_DEVICE RowPlace place_of_row(const MatmulJob& job, const MatmulMatrix& m, int expert,
                                    bool up, int row, unsigned blocks) {
  constexpr auto kPanel = static_cast<int>(kPanelRows);
  row = min_of(row, m.n - 1);
  const std::byte* base = (up ? m.w_up : m.w) + expert * job.routes.expert_bytes;
  if (!job.planes) return {base + row * m.w_stride, 0, 0};
  return {base + row / kPanel * m.w_stride, blocks, static_cast<unsigned>(row % kPanel) * blocks};
}

/// The first of the 16 columns of a piece of a unit, for any quantized dtype.
STRATA_DEVICE int piece_column(DType type, int unit, int piece) {
  switch (type) {
    case DType::Q2_K:
    case DType::Q3_K:
    case DType::Q4_K:
    case DType::Q5_K:
      return unit / 2 * 64 + 32 * piece + unit % 2 * 16;
    case DType::Q6_K:
      return unit / 4 * 128 + 64 * piece + unit % 4 * 16;
    default:
      return 32 * unit + 16 * piece;
  }
}

/// Element `column` of a row of F32, F16 or BF16; 0 beyond k.
STRATA_DEVICE float float_element(DType type, const std::byte* row, int column, int k) {
  if (column >= k) return 0;
  if (type == DType::F32) return reinterpret_cast<const float*>(row)[column];
  const std::uint16_t half = reinterpret_cast<const std::uint16_t*>(row)[column];
  return type == DType::F16 ? half_to_float(half) : bf16_to_float(half);
}

}  // namespace strata::STRATA_SIMT
