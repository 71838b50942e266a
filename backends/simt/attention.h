#pragma once

// What the attention kernels share: the operands, who sees what, and eight columns of a cached row.

#include "backends/simt/cache.h"
#include "backends/simt/common.h"
#include "backends/simt/step.h"

namespace strata::STRATA_SIMT {

/// Query heads of one kv head that a block does together, so that keys and values are read once.
inline constexpr int kSharedHeads = 8;

/// Operands of one launch, and how query heads are dealt out to blocks: the `ratio` heads of a kv
/// head in `parts` parts of `shared` heads, the last of which may have fewer.
struct AttentionArgs {
  Rows<const float> q;  // (tokens, kv_heads * ratio * head_dim)
  Rows<float> out;      // like q
  const std::byte* step;
  CachePages k;
  CachePages v;
  int ratio;
  int shared;
  int parts;
  int head_dim;
  int window;
  float scale;

  STRATA_BOTH int heads() const { return k.kv_heads * ratio; }
};

/// The heads of a block: kv head, first query head, and how many.
struct BlockHeads {
  int kv_head;
  int first;
  int count;
};
STRATA_DEVICE BlockHeads block_heads(const AttentionArgs& a, int index) {
  const int kv_head = index / a.parts;
  const int before = index % a.parts * a.shared;
  return {kv_head, kv_head * a.ratio + before, min_of(a.shared, a.ratio - before)};
}

/// Positions [begin, end) that a token sees of its sequence.
struct Visible {
  int begin;
  int end;
};
STRATA_DEVICE Visible visible(int position, int window) {
  if (position < 0) return {0, 0};
  return {window == 0 ? 0 : max_of(0, position - window + 1), position + 1};
}

/// The row of a position for CachePages::row().
STRATA_DEVICE std::int64_t cache_index(const CachePages& pages, const std::int32_t* table,
                                       int kv_head, int position) {
  return pages.index(table[position / pages.page_tokens], kv_head, position % pages.page_tokens);
}

// Where a running maximum starts: finite, so that nothing is ever infinity minus infinity.
inline constexpr float kLowest = -3.402823466e38F;

struct Eight {
  float v[8];
};

STRATA_DEVICE float small_to_float(DType dtype, int bits) {
  const auto small = static_cast<std::uint16_t>(bits);
  return dtype == DType::F16 ? half_to_float(small) : bf16_to_float(small);
}

STRATA_DEVICE void widen_pair(DType dtype, int pair, float* to) {
  to[0] = small_to_float(dtype, pair & 0xffff);
  to[1] = small_to_float(dtype, static_cast<int>(static_cast<unsigned>(pair) >> 16));
}

STRATA_DEVICE Eight load_eight_f32(const std::byte* row, int column, int columns) {
  Eight x = {};
  const auto* from = reinterpret_cast<const float*>(row) + column;
  STRATA_UNROLL
  for (int half = 0; half < 8; half += 4) {
    if (column + half >= columns) continue;
    const Four four = load16<Four>(from + half);
    STRATA_UNROLL
    for (int i = 0; i < 4; ++i) x.v[half + i] = four.v[i];
  }
  return x;
}

STRATA_DEVICE Eight load_eight_small(DType dtype, const std::byte* row, int column, int columns) {
  Eight x = {};
  const std::byte* from = row + 2 * column;
  if (columns % 8 == 0) {  // then rows are aligned to 16 bytes
    const Int4 pairs = load16(from);
    widen_pair(dtype, pairs.x, x.v);
    widen_pair(dtype, pairs.y, x.v + 2);
    widen_pair(dtype, pairs.z, x.v + 4);
    widen_pair(dtype, pairs.w, x.v + 6);
    return x;
  }
  STRATA_UNROLL
  for (int half = 0; half < 8; half += 4) {
    if (column + half >= columns) continue;
    const Int2 pairs = load8(from + 2 * half);
    widen_pair(dtype, pairs.x, x.v + half);
    widen_pair(dtype, pairs.y, x.v + half + 2);
  }
  return x;
}

// Blocks are aligned to two bytes only.
STRATA_DEVICE Eight load_eight_q8(const std::byte* row, int column) {
  Eight x;
  const auto* block = reinterpret_cast<const std::uint16_t*>(row + column / 32 * kCacheBlockBytes);
  const float scale = half_to_float(block[0]);
  const std::uint16_t* from = block + 1 + column % 32 / 2;
  STRATA_UNROLL
  for (int i = 0; i < 4; ++i) {
    x.v[2 * i] = scale * static_cast<float>(static_cast<std::int8_t>(from[i] & 0xff));
    x.v[2 * i + 1] = scale * static_cast<float>(static_cast<std::int8_t>(from[i] >> 8));
  }
  return x;
}

/// Columns [column, column + 8) of a cached row of `columns`, zeros from there on. `column` is a
/// multiple of 8 below `columns`.
STRATA_DEVICE Eight load_eight(DType dtype, const std::byte* row, int column, int columns) {
  if (dtype == DType::F32) return load_eight_f32(row, column, columns);
  if (dtype == DType::Q8_0) return load_eight_q8(row, column);
  return load_eight_small(dtype, row, column, columns);
}

}  // namespace strata::STRATA_SIMT
