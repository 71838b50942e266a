#pragma once

// Attention of many tokens: a block has up to 64 queries and goes through keys and values in tiles
// that lie in shared memory as f32 (Milakov & Gimelshein 2018, Dao et al. 2022).

#include "backends/simt/attention_queries.h"
#include "backends/simt/overlap.h"

namespace strata::STRATA_SIMT {

inline constexpr int kTileThreads = 256;
inline constexpr int kTileSide = 16;  // threads that share a query; queries of a thread's column

/// Sizes for heads of up to kDim columns: 64, 128 or 256.
template <int kDim>
struct TileSize {
  static constexpr int kQueries = kDim == 256 ? 32 : 64;
  static constexpr int kKeys = kDim == 256 ? 16 : 32;
  static constexpr int kStride = kDim + 4;  // rows begin in different banks
  static constexpr int kQueriesEach = kQueries / kTileSide;
  static constexpr int kKeysEach = kKeys / kTileSide;
  static constexpr int kFours = kDim / (4 * kTileSide);
};

template <int kDim>
struct TileShared {
  using Size = TileSize<kDim>;
  alignas(16) float q[Size::kQueries * Size::kStride];
  alignas(16) float rows[Size::kKeys * Size::kStride];  // keys, then values
  float weights[Size::kQueries * (Size::kKeys + 1)];
  Visible sees[Size::kQueries];
};

template <int kDim>
STRATA_DEVICE void load_queries(const AttentionArgs& a, const BlockQueries& queries,
                                TileShared<kDim>& shared) {
  for (int i = thread_x(); i < TileSize<kDim>::kQueries * kDim; i += kTileThreads) {
    const int query = i / kDim;
    const int column = i % kDim;
    const bool real = queries.real(query) && column < a.head_dim;
    shared.q[query * TileSize<kDim>::kStride + column] =
        real ? a.q.row(queries.token(query))[queries.head(query) * a.head_dim + column] : 0.0F;
  }
}

/// Rows of positions tile, tile + 1, ... as f32; zeros for those outside of `sees`.
template <int kDim>
STRATA_DEVICE void load_tile(const CachePages& pages, const std::int32_t* table, int kv_head,
                             int head_dim, int tile, const Visible& sees,
                             TileShared<kDim>& shared) {
  using Size = TileSize<kDim>;
  for (int i = thread_x(); i < Size::kKeys * (kDim / 8); i += kTileThreads) {
    const int row = i / (kDim / 8);
    const int column = 8 * (i % (kDim / 8));
    const int position = tile + row;
    Eight x = {};
    if (position >= sees.begin && position < sees.end && column < head_dim)
      x = load_eight(pages.dtype, pages.row(cache_index(pages, table, kv_head, position)), column,
                     head_dim);
    float* to = shared.rows + row * Size::kStride + column;
    store16(to, Four{{x.v[0], x.v[1], x.v[2], x.v[3]}});
    store16(to + 4, Four{{x.v[4], x.v[5], x.v[6], x.v[7]}});
  }
}

/// A thread's share of a tile: queries kQueriesEach * (its row) + i, and of those the scores of
/// keys (its column) + kTileSide * j, or the sums of columns 4 * (its column) + 4 * kTileSide * f.
template <int kDim>
struct TileThread {
  using Size = TileSize<kDim>;
  static constexpr int kQueries = Size::kQueriesEach;

  float scores[kQueries][Size::kKeysEach];
  Four sums[kQueries][Size::kFours];
  float largest[kQueries];
  float total[kQueries];

  STRATA_DEVICE int column() const { return thread_x() % kTileSide; }
  STRATA_DEVICE int query(int i) const { return thread_x() / kTileSide * kQueries + i; }

  STRATA_DEVICE void begin() {
    STRATA_UNROLL
    for (int i = 0; i < kQueries; ++i) {
      largest[i] = kLowest;
      total[i] = 0.0F;
      STRATA_UNROLL
      for (int f = 0; f < Size::kFours; ++f) sums[i][f] = {};
    }
  }

  // Four sums for each score, as far as that keeps errors small.
  STRATA_DEVICE void find_scores(const TileShared<kDim>& shared, int head_dim) {
    Four dots[kQueries][Size::kKeysEach] = {};
    for (int c = 0; c < head_dim; c += 4) {
      Four keys[Size::kKeysEach];
      STRATA_UNROLL
      for (int j = 0; j < Size::kKeysEach; ++j)
        keys[j] = load16<Four>(shared.rows + (column() + kTileSide * j) * Size::kStride + c);
      STRATA_UNROLL
      for (int i = 0; i < kQueries; ++i) {
        const Four q = load16<Four>(shared.q + query(i) * Size::kStride + c);
        STRATA_UNROLL
        for (int j = 0; j < Size::kKeysEach; ++j) {
          STRATA_UNROLL
          for (int e = 0; e < 4; ++e)
            dots[i][j].v[e] = fma_of(q.v[e], keys[j].v[e], dots[i][j].v[e]);
        }
      }
    }
    STRATA_UNROLL
    for (int i = 0; i < kQueries; ++i) {
      STRATA_UNROLL
      for (int j = 0; j < Size::kKeysEach; ++j) {
        const Four& d = dots[i][j];
        scores[i][j] = (d.v[0] + d.v[1]) + (d.v[2] + d.v[3]);
      }
    }
  }

  // Scores to exponentials in shared.weights. A query that sees nothing of the tile stays as it is.
  STRATA_DEVICE void soften(TileShared<kDim>& shared, int tile, float scale) {
    STRATA_UNROLL
    for (int i = 0; i < kQueries; ++i) {
      const Visible sees = shared.sees[query(i)];
      float most = largest[i];
      STRATA_UNROLL
      for (int j = 0; j < Size::kKeysEach; ++j) {
        const int position = tile + column() + kTileSide * j;
        const bool seen = position >= sees.begin && position < sees.end;
        scores[i][j] = seen ? scores[i][j] * scale : float_of(0xff800000u);
        most = max_of(most, scores[i][j]);
      }
      for (int mask = kTileSide / 2; mask > 0; mask /= 2)
        most = max_of(most, shuffle_xor(most, mask));
      const float factor = exp_of(largest[i] - most);
      largest[i] = most;
      float sum = 0.0F;
      STRATA_UNROLL
      for (int j = 0; j < Size::kKeysEach; ++j) {
        const float weight = exp_of(scores[i][j] - most);
        shared.weights[query(i) * (Size::kKeys + 1) + column() + kTileSide * j] = weight;
        sum += weight;
      }
      for (int mask = kTileSide / 2; mask > 0; mask /= 2) sum += shuffle_xor(sum, mask);
      total[i] = fma_of(total[i], factor, sum);
      STRATA_UNROLL
      for (int f = 0; f < Size::kFours; ++f) {
        STRATA_UNROLL
        for (int e = 0; e < 4; ++e) sums[i][f].v[e] *= factor;
      }
    }
  }

  STRATA_DEVICE void add_values(const TileShared<kDim>& shared) {
    for (int k = 0; k < Size::kKeys; ++k) {
      Four values[Size::kFours];
      STRATA_UNROLL
      for (int f = 0; f < Size::kFours; ++f)
        values[f] =
            load16<Four>(shared.rows + k * Size::kStride + 4 * column() + 4 * kTileSide * f);
      STRATA_UNROLL
      for (int i = 0; i < kQueries; ++i) {
        const float weight = shared.weights[query(i) * (Size::kKeys + 1) + k];
        STRATA_UNROLL
        for (int f = 0; f < Size::kFours; ++f) {
          STRATA_UNROLL
          for (int e = 0; e < 4; ++e)
            sums[i][f].v[e] = fma_of(weight, values[f].v[e], sums[i][f].v[e]);
        }
      }
    }
  }

  STRATA_DEVICE void store(const AttentionArgs& a, const BlockQueries& queries) const {
    STRATA_UNROLL
    for (int i = 0; i < kQueries; ++i) {
      const int q = query(i);
      if (!queries.real(q)) continue;
      float* out = a.out.row(queries.token(q)) + queries.head(q) * a.head_dim;
      const bool wide = reinterpret_cast<std::uintptr_t>(out) % 16 == 0;
      const float scale = total[i] == 0.0F ? 0.0F : 1.0F / total[i];
      STRATA_UNROLL
      for (int f = 0; f < Size::kFours; ++f) {
        Four result = sums[i][f];
        for (int e = 0; e < 4; ++e) result.v[e] *= scale;
        store_four(out, wide, 4 * column() + 4 * kTileSide * f, a.head_dim, result);
      }
    }
  }
};

// Block (token, kv head and share of its query heads); the last tokens, which see the most, first.
template <int kDim>
STRATA_KERNEL STRATA_BOUNDS_BLOCKS(kTileThreads, 2) void attend_tiles(AttentionArgs a) {
  take_turn();
  using Size = TileSize<kDim>;
  auto& shared = *dynamic_shared<TileShared<kDim>>();
  const Step step(a.step);
  const int t = blocks_x() - 1 - block_x();
  const BlockHeads heads = block_heads(a, block_y());
  if (t >= step.token_count()) return clear_token(a, heads, t);
  const BlockQueries queries{token_group(step, t, Size::kQueries / a.shared), heads, a.shared};
  if (queries.tokens.count == 0) return;
  const Visible any = find_visible(a, step, queries, shared.sees, Size::kQueries);
  load_queries(a, queries, shared);
  const std::int32_t* table = step.pages(step.sequence(t));
  TileThread<kDim> thread;
  thread.begin();
  for (int tile = any.begin / Size::kKeys * Size::kKeys; tile < any.end; tile += Size::kKeys) {
    sync_block();
    load_tile(a.k, table, heads.kv_head, a.head_dim, tile, any, shared);
    sync_block();
    thread.find_scores(shared, a.head_dim);
    thread.soften(shared, tile, a.scale);
    sync_block();
    load_tile(a.v, table, heads.kv_head, a.head_dim, tile, any, shared);
    sync_block();
    thread.add_values(shared);
  }
  thread.store(a, queries);
}

}  // namespace strata::STRATA_SIMT
