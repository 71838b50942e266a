#pragma once

// Attention of many tokens with matrix instructions on bf16, for caches of f16 and bf16. Rounding
// queries and weights to bf16 would cost more than the cache's own rounding, so each number is a
// sum of bf16 terms: a query of three (all of an f32's bits), a weight of two, a cached f16 of two
// and a cached bf16 of one. Products of terms that are too small to matter are left out.

#include "backends/simt/attention_queries.h"
#include "backends/simt/overlap.h"
#include "fragments.h"

namespace strata::STRATA_SIMT {

inline constexpr int kMatrixQueries = 32;
inline constexpr int kMatrixKeys = 32;
inline constexpr int kMatrixWarps = 4;  // two for each 16 queries, which share keys and columns
inline constexpr int kFragment = 16;    // rows and columns
inline constexpr int kQueryTerms = 3;
inline constexpr int kWeightTerms = 2;

/// Shared memory for heads of up to kDim columns and cached numbers of kTerms terms. Rows begin 16
/// bytes further in the banks than those before them.
template <int kDim, int kTerms>
struct MatrixShared {
  static constexpr int kPitch = kDim + 8;
  static constexpr int kKeyPitch = kMatrixKeys + 8;
  static constexpr int kScorePitch = kMatrixKeys + 4;

  alignas(16) std::uint16_t q[kQueryTerms][kMatrixQueries * kPitch];
  union {
    alignas(16) std::uint16_t keys[kTerms][kMatrixKeys * kPitch];
    alignas(16) std::uint16_t values[kTerms][kDim * kKeyPitch];  // (column, key)
  };
  alignas(16) std::uint16_t weights[kWeightTerms][kMatrixQueries * kKeyPitch];
  float scores[kMatrixQueries * kScorePitch];
  float factor[kMatrixQueries];  // what a tile's new maximum makes of the sums before it
  float scale[kMatrixQueries];   // 1 / sum of exponentials
  Visible sees[kMatrixQueries];
};

/// What a bf16 leaves of x.
STRATA_DEVICE float rest_of(float x, unsigned bf16) {
  const float rounded = float_of(bf16 << 16);
  return x == rounded ? 0.0F : x - rounded;  // infinity leaves nothing
}

/// Two numbers as sums of kTerms pairs of bf16.
template <int kTerms>
STRATA_DEVICE void split_pair(float a, float b, unsigned (&terms)[kTerms]) {
  STRATA_UNROLL
  for (int i = 0; i < kTerms; ++i) {
    terms[i] = bf16_pair(a, b);
    a = rest_of(a, terms[i] & 0xffffu);
    b = rest_of(b, terms[i] >> 16);
  }
}

template <int kDim, int kTerms>
STRATA_DEVICE void load_query_terms(const AttentionArgs& a, const BlockQueries& queries,
                                    MatrixShared<kDim, kTerms>& shared) {
  for (int i = thread_x(); i < kMatrixQueries * (kDim / 2); i += threads_x()) {
    const int query = i / (kDim / 2);
    const int column = 2 * (i % (kDim / 2));
    float pair[2] = {0.0F, 0.0F};
    if (queries.real(query) && column < a.head_dim) {
      const float* from = a.q.row(queries.token(query)) + queries.head(query) * a.head_dim;
      pair[0] = from[column];
      pair[1] = from[column + 1];
    }
    unsigned terms[kQueryTerms];
    split_pair(pair[0], pair[1], terms);
    STRATA_UNROLL
    for (int j = 0; j < kQueryTerms; ++j)
      store4(shared.q[j] + query * MatrixShared<kDim, kTerms>::kPitch + column, terms[j]);
  }
}

/// Where a tile of the cache is.
struct CacheTile {
  const std::int32_t* table;
  int kv_head;
  int first;     // position
  Visible sees;  // what any query sees; the rest is zeros
};

STRATA_DEVICE Eight load_tile_row(const CachePages& pages, const CacheTile& tile, int row,
                                  int column, int head_dim) {
  const int position = tile.first + row;
  if (position < tile.sees.begin || position >= tile.sees.end || column >= head_dim) return {};
  return load_eight_small(pages.dtype,
                          pages.row(cache_index(pages, tile.table, tile.kv_head, position)), column,
                          head_dim);
}

template <int kDim, int kTerms>
STRATA_DEVICE void load_key_terms(const AttentionArgs& a, const CacheTile& tile,
                                  MatrixShared<kDim, kTerms>& shared) {
  for (int i = thread_x(); i < kMatrixKeys * (kDim / 8); i += threads_x()) {
    const int row = i / (kDim / 8);
    const int column = 8 * (i % (kDim / 8));
    const Eight x = load_tile_row(a.k, tile, row, column, a.head_dim);
    unsigned words[4][kTerms];
    STRATA_UNROLL
    for (int j = 0; j < 4; ++j) split_pair(x.v[2 * j], x.v[2 * j + 1], words[j]);
    STRATA_UNROLL
    for (int j = 0; j < kTerms; ++j)
      store16(shared.keys[j] + row * MatrixShared<kDim, kTerms>::kPitch + column,
              Int4{static_cast<int>(words[0][j]), static_cast<int>(words[1][j]),
                   static_cast<int>(words[2][j]), static_cast<int>(words[3][j])});
  }
}

/// Two rows at a time, so that neighbours in a transposed row are written together.
template <int kDim, int kTerms>
STRATA_DEVICE void load_value_terms(const AttentionArgs& a, const CacheTile& tile,
                                    MatrixShared<kDim, kTerms>& shared) {
  for (int i = thread_x(); i < kMatrixKeys / 2 * (kDim / 8); i += threads_x()) {
    const int row = 2 * (i % (kMatrixKeys / 2));
    const int column = 8 * (i / (kMatrixKeys / 2));
    const Eight x = load_tile_row(a.v, tile, row, column, a.head_dim);
    const Eight y = load_tile_row(a.v, tile, row + 1, column, a.head_dim);
    STRATA_UNROLL
    for (int j = 0; j < 8; ++j) {
      unsigned terms[kTerms];
      split_pair(x.v[j], y.v[j], terms);
      const int at = (column + j) * MatrixShared<kDim, kTerms>::kKeyPitch + row;
      STRATA_UNROLL
      for (int k = 0; k < kTerms; ++k) store4(shared.values[k] + at, terms[k]);
    }
  }
}

/// large += a[0] * b[0]^T, small += the products of smaller terms that matter: terms i and j have
/// at most 2^-8(i + j) of their numbers, and of kA terms the last is the least that does.
template <int kA, int kB>
STRATA_DEVICE void multiply_terms(Accumulator& large, Accumulator& small, const Fragment (&a)[kA],
                                  const Fragment (&b)[kB]) {
  multiply(large, a[0], b[0]);
  STRATA_UNROLL
  for (int i = 0; i < kA; ++i) {
    STRATA_UNROLL
    for (int j = 0; j < kB; ++j)
      if (i + j > 0 && i + j < kA) multiply(small, a[i], b[j]);
  }
}

/// A warp's share of a block: 16 queries, and of those half of a tile's scores and half of the
/// columns of the result.
template <int kDim, int kTerms>
struct MatrixWarp {
  using Shared = MatrixShared<kDim, kTerms>;
  static constexpr int kTiles = kDim / kFragment / 2;

  Accumulator sums[kTiles];
  Accumulator rest[kTiles];

  STRATA_DEVICE int query() const { return warp() / 2 * kFragment; }
  STRATA_DEVICE int key() const { return warp() % 2 * kFragment; }
  STRATA_DEVICE int column(int tile) const { return (warp() % 2 * kTiles + tile) * kFragment; }

  STRATA_DEVICE void find_scores(Shared& shared, int head_dim) const {
    Accumulator large;
    Accumulator small;
    for (int c = 0; c < head_dim; c += kFragment) {
      Fragment q[kQueryTerms];
      Fragment keys[kTerms];
      STRATA_UNROLL
      for (int i = 0; i < kQueryTerms; ++i)
        q[i] = load_fragment(shared.q[i] + query() * Shared::kPitch + c, Shared::kPitch);
      STRATA_UNROLL
      for (int i = 0; i < kTerms; ++i)
        keys[i] = load_fragment(shared.keys[i] + key() * Shared::kPitch + c, Shared::kPitch);
      multiply_terms(large, small, q, keys);
    }
    float* to = shared.scores + query() * Shared::kScorePitch + key();
    for_each_element(
        large, [&](int row, int at, float& value) { to[row * Shared::kScorePitch + at] = value; });
    for_each_element(
        small, [&](int row, int at, float& value) { to[row * Shared::kScorePitch + at] += value; });
  }

  STRATA_DEVICE void add_values(const Shared& shared, int head_dim) {
    STRATA_UNROLL
    for (int t = 0; t < kTiles; ++t) {
      const auto rescale = [&](int row, int, float& value) {
        value *= shared.factor[query() + row];
      };
      for_each_element(sums[t], rescale);
      for_each_element(rest[t], rescale);
    }
    STRATA_UNROLL
    for (int k = 0; k < kMatrixKeys; k += kFragment) {
      Fragment weights[kWeightTerms];
      STRATA_UNROLL
      for (int i = 0; i < kWeightTerms; ++i)
        weights[i] =
            load_fragment(shared.weights[i] + query() * Shared::kKeyPitch + k, Shared::kKeyPitch);
      STRATA_UNROLL
      for (int t = 0; t < kTiles; ++t) {
        if (column(t) >= head_dim) continue;
        Fragment values[kTerms];
        STRATA_UNROLL
        for (int i = 0; i < kTerms; ++i)
          values[i] = load_fragment(shared.values[i] + column(t) * Shared::kKeyPitch + k,
                                    Shared::kKeyPitch);
        multiply_terms(sums[t], rest[t], weights, values);
      }
    }
  }

  STRATA_DEVICE void store(const AttentionArgs& a, const BlockQueries& queries,
                           const Shared& shared) {
    STRATA_UNROLL
    for (int t = 0; t < kTiles; ++t) {
      const auto place = [&](int row, int at) -> float* {
        const int q = query() + row;
        const int c = column(t) + at;
        if (!queries.real(q) || c >= a.head_dim) return nullptr;
        return a.out.row(queries.token(q)) + queries.head(q) * a.head_dim + c;
      };
      for_each_element(sums[t], [&](int row, int at, float& value) {
        if (float* to = place(row, at)) *to = value;
      });
      for_each_element(rest[t], [&](int row, int at, float& value) {
        if (float* to = place(row, at)) *to = (*to + value) * shared.scale[query() + row];
      });
    }
  }
};

/// The softmax of a query, by neighbouring threads with some keys each.
struct MatrixSoftmax {
  float largest = kLowest;
  float total = 0.0F;

  STRATA_DEVICE static int team() { return kMatrixWarps * lane_count() / kMatrixQueries; }
  STRATA_DEVICE int query() const { return thread_x() / team(); }

  /// Scores to exponentials in shared.weights. A query that sees nothing of the tile stays as it
  /// is.
  template <class Shared>
  STRATA_DEVICE void soften(Shared& shared, int tile, float scale) {
    constexpr int kMost = 8;  // keys of a thread
    const int each = kMatrixKeys / team();
    const int first = thread_x() % team() * each;
    const Visible sees = shared.sees[query()];
    const float* from = shared.scores + query() * Shared::kScorePitch + first;
    float scores[kMost];
    float most = largest;
    STRATA_UNROLL
    for (int i = 0; i < kMost; ++i) {
      if (i >= each) continue;
      const int position = tile + first + i;
      const bool seen = position >= sees.begin && position < sees.end;
      scores[i] = seen ? from[i] * scale : float_of(0xff800000u);
      most = max_of(most, scores[i]);
    }
    for (int mask = team() / 2; mask > 0; mask /= 2) most = max_of(most, shuffle_xor(most, mask));
    const float factor = exp_of(largest - most);
    largest = most;
    float sum = 0.0F;
    STRATA_UNROLL
    for (int i = 0; i < kMost; i += 2) {
      if (i >= each) continue;
      const float a = exp_of(scores[i] - most);
      const float b = exp_of(scores[i + 1] - most);
      sum += a + b;
      unsigned terms[kWeightTerms];
      split_pair(a, b, terms);
      STRATA_UNROLL
      for (int j = 0; j < kWeightTerms; ++j)
        store4(shared.weights[j] + query() * Shared::kKeyPitch + first + i, terms[j]);
    }
    for (int mask = team() / 2; mask > 0; mask /= 2) sum += shuffle_xor(sum, mask);
    total = fma_of(total, factor, sum);
    if (first == 0) shared.factor[query()] = factor;
  }

  template <class Shared>
  STRATA_DEVICE void finish(Shared& shared) const {
    if (thread_x() % team() == 0) shared.scale[query()] = total == 0.0F ? 0.0F : 1.0F / total;
  }
};

// Block (token, kv head and share of its query heads); the last tokens, which see the most, first.
template <int kDim, int kTerms>
STRATA_KERNEL STRATA_BOUNDS(kMatrixWarps* kMaxLanes) void attend_matrices(AttentionArgs a) {
  take_turn();
  auto& shared = *dynamic_shared<MatrixShared<kDim, kTerms>>();
  const Step step(a.step);
  const int t = blocks_x() - 1 - block_x();
  const BlockHeads heads = block_heads(a, block_y());
  if (t >= step.token_count()) return clear_token(a, heads, t);
  const BlockQueries queries{token_group(step, t, kMatrixQueries / a.shared), heads, a.shared};
  if (queries.tokens.count == 0) return;
  const Visible any = find_visible(a, step, queries, shared.sees, kMatrixQueries);
  load_query_terms(a, queries, shared);
  MatrixWarp<kDim, kTerms> mine;
  MatrixSoftmax softmax;
  CacheTile tile{step.pages(step.sequence(t)), heads.kv_head, 0, any};
  for (int first = any.begin / kMatrixKeys * kMatrixKeys; first < any.end; first += kMatrixKeys) {
    tile.first = first;
    sync_block();
    load_key_terms(a, tile, shared);
    sync_block();
    mine.find_scores(shared, a.head_dim);
    sync_block();
    softmax.soften(shared, first, a.scale);
    load_value_terms(a, tile, shared);
    sync_block();
    mine.add_values(shared, a.head_dim);
  }
  softmax.finish(shared);
  sync_block();
  mine.store(a, queries, shared);
}

}  // namespace strata::STRATA_SIMT
