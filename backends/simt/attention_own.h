#pragma once

// The queries of a block of attention_split.h: turned before, or by the block itself, which then
// has the token's key and value to put to the cache as well.

#include "backends/simt/attention.h"
#include "backends/simt/rope.h"

namespace strata::STRATA_SIMT {

/// What a launch for one token makes itself before it reads it: `q` of AttentionArgs is turned on
/// the way, and the token's key and value come to the cache. The block that has the token's own
/// position does the latter, for its kv head, of which there is one such block then: nobody else
/// reads that row.
struct OwnToken {
  const float* k;  // (kv_heads * head_dim)
  const float* v;
  const float* q_norm;  // (head_dim) or null
  const float* k_norm;
  const float* inv_freq;
  RopeShape shape;
};

/// Query heads of a kv head up to which a block turns them itself: where it has more of them, or
/// the dtypes of the cache are known at run time only, it has no registers left for it.
inline constexpr int kOwnQueries = 4;

/// Rows of `columns` that turn_own_token() needs behind the queries: turns, and the key.
inline constexpr int kOwnRows = 2;

/// The block's queries as q (R, columns), zeros behind what there is.
template <int R>
STRATA_DEVICE void load_queries(const AttentionArgs& a, const BlockHeads& heads, float* q,
                                int columns) {
  for (int i = thread_x(); i < R * columns; i += threads_x()) {
    const int r = i / columns;
    const int column = i % columns;
    const bool real = r < heads.count && column < a.head_dim;
    q[i] = real ? a.q.row(block_z())[(heads.first + r) * a.head_dim + column] : 0.0F;
  }
}

/// The same, turned for the token's position; with `append` its key and value to the cache. What
/// was written is there for the block behind the next sync_block().
template <int R>
STRATA_DEVICE void turn_own_token(const AttentionArgs& a, const OwnToken& own,
                                  const BlockHeads& heads, const std::int32_t* table, int position,
                                  bool append, float* q, int columns) {
  static_assert(sizeof(Turn) == 2 * sizeof(float), "the turns of a head are as long as the head");
  auto* turns = reinterpret_cast<Turn*>(q + R * columns);
  float* key = q + (R + 1) * columns;
  find_turns(own.shape, own.inv_freq, position, turns);
  for (int i = thread_x(); i < R * columns; i += threads_x())
    if (i / columns >= heads.count || i % columns >= a.head_dim) q[i] = 0.0F;
  sync_block();
  const std::int64_t row = cache_index(a.k, table, heads.kv_head, position);
  const int own_head = heads.kv_head * a.head_dim;
  const int warps = threads_x() / lane_count();
  for (int h = warp(); h < heads.count + (append ? 2 : 0); h += warps) {
    if (h < heads.count) {
      turn_head(own.shape, turns, a.q.row(block_z()) + (heads.first + h) * a.head_dim, own.q_norm,
                q + h * columns);
    } else if (h == heads.count) {
      turn_head(own.shape, turns, own.k + own_head, own.k_norm, key);
      sync_warp();
      store_cache_row(key, a.head_dim, a.k.dtype, a.k.row(row));
    } else {
      store_cache_row(own.v + own_head, a.head_dim, a.v.dtype, a.v.row(row));
    }
  }
}

}  // namespace strata::STRATA_SIMT
