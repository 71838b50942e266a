#pragma once

// Attention of few tokens: the context is split, a block does one part of it for one token and the
// query heads of one kv head, and the block that comes last combines the parts in order.

#include "backends/simt/attention.h"
#include "backends/simt/attention_own.h"
#include "backends/simt/overlap.h"
#include "backends/simt/reduce.h"
#include "backends/simt/rows.h"
#include "backends/simt/tickets.h"

namespace strata::STRATA_SIMT {

inline constexpr int kSplitThreads = 128;
inline constexpr int kSplitWarps = 4;  // of them at most
inline constexpr int kSplitTile = 64;  // positions whose scores are in shared memory
inline constexpr int kSplitUnit = 32;  // positions that are not split further
inline constexpr int kSplits = 64;     // parts at most
/// Blocks of a multiprocessor that registers shall suffice for, with R queries each; turning an own
/// token takes more of them.
template <int R, bool kOwn>
inline constexpr int kSplitBlocks = R >= 4 || kOwn ? 3 : 4;
inline constexpr int kSplitAhead = 4;  // rows that a thread reads at once
static_assert(kSplits <= kSplitTile, "weights of the parts are where a tile's scores were");
static_assert(kSplitWarps >= 1 + kOwnRows, "an own token is where the teams' sums will be");

/// How the positions that a token sees are cut: it depends on nothing else, so neither does the
/// order of sums.
struct SplitPlan {
  int chunk;  // positions of a part
  int count;  // parts
};
STRATA_DEVICE SplitPlan split_plan(const Visible& sees) {
  const int length = sees.end - sees.begin;
  const int units = (length + kSplitUnit - 1) / kSplitUnit;
  const int chunk = (units + kSplits - 1) / kSplits * kSplitUnit;
  return {chunk, length == 0 ? 0 : (length + chunk - 1) / chunk};
}

/// Results of the parts: sums of exp(score - largest) * value as (tokens, heads, kSplits,
/// head_dim), and behind them (tokens, heads, kSplits) of largest score and sum of exponentials.
struct SplitParts {
  float* sums;
  Float2* states;
  FourRows out;       // what they are combined to, in `layout`
  unsigned* tickets;  // (tokens, blocks of a token)
  Layout layout;
};
STRATA_DEVICE std::int64_t split_part(const AttentionArgs& a, int t, int head, int part) {
  return (std::int64_t{t} * a.heads() + head) * kSplits + part;
}
inline std::size_t split_bytes(std::int64_t tokens, std::int64_t heads, std::int64_t head_dim) {
  return static_cast<std::size_t>(tokens * heads * kSplits * (head_dim + 2)) * sizeof(float);
}

STRATA_BOTH int team_size(int head_dim) {
  int size = 1;
  while (8 * size < head_dim) size *= 2;
  return size;
}

/// Threads that have a row together, eight columns each. Their number is a power of two.
struct Team {
  int size;
  int count;   // teams of the block
  int index;   // of this one
  int column;  // first of this thread's
  int rank;    // of this thread within its team

  STRATA_DEVICE explicit Team(int head_dim) : size(team_size(head_dim)) {
    count = kSplitThreads / size;
    index = thread_x() / size;
    rank = thread_x() % size;
    column = 8 * rank;
  }
  STRATA_DEVICE int columns() const { return 8 * size; }
};

/// The team's sums of s[0 .. 3]; this thread gets that of s[rank / (size / 4)]. size >= 4.
STRATA_DEVICE float team_sum(const float (&s)[kSplitAhead], const Team& team) {
  const int half = team.size / 2;
  const bool high = (team.rank & half) != 0;
  float a = (high ? s[2] : s[0]) + shuffle_xor(high ? s[0] : s[2], half);
  float b = (high ? s[3] : s[1]) + shuffle_xor(high ? s[1] : s[3], half);
  const int quarter = team.size / 4;
  const bool odd = (team.rank & quarter) != 0;
  float sum = (odd ? b : a) + shuffle_xor(odd ? a : b, quarter);
  for (int mask = team.size / 8; mask > 0; mask /= 2) sum += shuffle_xor(sum, mask);
  return sum;
}

/// Scores of the rows first, first + count, ... (kSplitAhead of them) to scores[row].
STRATA_DEVICE void store_scores(const float (&s)[kSplitAhead], const Team& team, int first,
                                float scale, float* scores) {
  if (team.size >= 4) {
    const float sum = team_sum(s, team);
    const int quarter = team.size / 4;
    const int row = first + team.rank / quarter * team.count;
    if (team.rank % quarter == 0 && row < kSplitTile) scores[row] = sum * scale;
    return;
  }
  STRATA_UNROLL
  for (int i = 0; i < kSplitAhead; ++i) {
    float sum = s[i];
    if (team.size == 2) sum += shuffle_xor(sum, 1);
    const int row = first + i * team.count;
    if (team.rank == 0 && row < kSplitTile) scores[row] = sum * scale;
  }
}

/// Stands for a dtype that is known at run time only: keys and values of different dtypes.
inline constexpr DType kAnyDType = DType::I8;

/// scores (R, kSplitTile) of `count` positions, whose rows are in `rows`; q (R, columns) in shared
/// memory.
template <DType kKey, int R>
STRATA_DEVICE void score_tile(const AttentionArgs& a, const Team& team, const float* q,
                              const std::int64_t* rows, int count, float* scores) {
  for (int base = 0; base < count; base += kSplitAhead * team.count) {
    Eight keys[kSplitAhead];
    STRATA_UNROLL
    for (int i = 0; i < kSplitAhead; ++i) {
      const int row = base + i * team.count + team.index;
      keys[i] = {};
      if (row < count && team.column < a.head_dim)
        keys[i] = load_eight(kKey == kAnyDType ? a.k.dtype : kKey, a.k.row(rows[row]), team.column,
                             a.head_dim);
    }
    STRATA_UNROLL
    for (int r = 0; r < R; ++r) {
      const float* query = q + r * team.columns() + team.column;
      const Four low = load16<Four>(query);
      const Four high = load16<Four>(query + 4);
      float s[kSplitAhead];
      STRATA_UNROLL
      for (int i = 0; i < kSplitAhead; ++i) {
        float sum = 0.0F;
        STRATA_UNROLL
        for (int j = 0; j < 4; ++j) sum = fma_of(low.v[j], keys[i].v[j], sum);
        STRATA_UNROLL
        for (int j = 0; j < 4; ++j) sum = fma_of(high.v[j], keys[i].v[4 + j], sum);
        s[i] = sum;
      }
      store_scores(s, team, base + team.index, a.scale, scores + r * kSplitTile);
    }
  }
}

/// Shared memory of a block, and behind it rows of rest(), which have Team::columns() columns.
template <int R>
struct alignas(16) SplitShared {
  std::int64_t rows[kSplitTile];
  int last;  // of last_of_blocks()
  float largest[R];
  float total[R];
  float factor[R];  // what a tile's new maximum makes of the sums before it
  float scores[R * kSplitTile];

  /// Queries, in the end the teams' sums.
  STRATA_DEVICE float* rest() { return reinterpret_cast<float*>(this + 1); }
};

template <int R>
std::size_t split_shared_bytes(int head_dim) {
  const int columns = 8 * team_size(head_dim);
  return sizeof(SplitShared<R>) +
         static_cast<std::size_t>(kSplitWarps * R * columns) * sizeof(float);
}

/// Scores to exponentials; a warp has every so manyth query.
template <int R>
STRATA_DEVICE void soften_tile(SplitShared<R>& shared, int count) {
  for (int r = warp(); r < R; r += threads_x() / lane_count()) {
    float* scores = shared.scores + r * kSplitTile;
    const float before = shared.largest[r];
    float largest = before;  // a NaN never gets here
    for (int j = lane(); j < count; j += lane_count()) largest = max_of(largest, scores[j]);
    largest = warp_max(largest);
    float total = 0.0F;
    for (int j = lane(); j < count; j += lane_count()) {
      scores[j] = exp_of(scores[j] - largest);
      total += scores[j];
    }
    total = warp_sum(total);
    if (lane() != 0) continue;
    const float factor = exp_of(before - largest);
    shared.largest[r] = largest;
    shared.factor[r] = factor;
    shared.total[r] = fma_of(shared.total[r], factor, total);
  }
}

/// Values of the rows base, base + teams, ... (kSplitAhead of them) of `count`; zeros behind them.
template <DType kValue>
STRATA_DEVICE void load_values(const AttentionArgs& a, const Team& team, const std::int64_t* rows,
                               int count, int base, Eight (&values)[kSplitAhead]) {
  STRATA_UNROLL
  for (int i = 0; i < kSplitAhead; ++i) {
    const int row = base + i * team.count;
    values[i] = {};
    if (row < count && team.column < a.head_dim)
      values[i] = load_eight(kValue == kAnyDType ? a.v.dtype : kValue, a.v.row(rows[row]),
                             team.column, a.head_dim);
  }
}

/// sums (R) of this thread's columns += exponentials of those rows times their values.
template <int R>
STRATA_DEVICE void add_values(const Team& team, const SplitShared<R>& shared, int count, int base,
                              const Eight (&values)[kSplitAhead], Eight (&sums)[R]) {
  STRATA_UNROLL
  for (int i = 0; i < kSplitAhead; ++i) {
    const int row = base + i * team.count;
    STRATA_UNROLL
    for (int r = 0; r < R; ++r) {
      const float weight = row < count ? shared.scores[r * kSplitTile + row] : 0.0F;
      STRATA_UNROLL
      for (int j = 0; j < 8; ++j) sums[r].v[j] = fma_of(weight, values[i].v[j], sums[r].v[j]);
    }
  }
}

/// The teams' sums to the part's place: lanes of a warp, then warps, in order.
template <int R>
STRATA_DEVICE void store_part(const AttentionArgs& a, const Team& team, SplitShared<R>& shared,
                              Eight (&sums)[R], const BlockHeads& heads, const SplitParts& parts) {
  STRATA_UNROLL
  for (int r = 0; r < R; ++r) {
    STRATA_UNROLL
    for (int j = 0; j < 8; ++j) {
      float sum = sums[r].v[j];
      for (int mask = team.size; mask < lane_count(); mask *= 2) sum += shuffle_xor(sum, mask);
      if (lane() < team.size)
        shared.rest()[(warp() * R + r) * team.columns() + team.column + j] = sum;
    }
  }
  sync_block();
  for (int r = 0; r < heads.count; ++r) {
    const std::int64_t part = split_part(a, block_z(), heads.first + r, block_x());
    for (int i = thread_x(); i < a.head_dim; i += threads_x()) {
      float sum = shared.rest()[r * team.columns() + i];
      for (int w = 1; w < threads_x() / lane_count(); ++w)
        sum += shared.rest()[(w * R + r) * team.columns() + i];
      parts.sums[part * a.head_dim + i] = sum;
    }
    if (thread_x() == 0) parts.states[part] = {shared.largest[r], shared.total[r]};
  }
}

/// shared.scores: what each part counts for; shared.factor: what the sum of all is multiplied with.
template <int R>
STRATA_DEVICE void weigh_parts(const AttentionArgs& a, SplitShared<R>& shared,
                               const BlockHeads& heads, const SplitParts& parts, int count) {
  for (int r = warp(); r < heads.count; r += threads_x() / lane_count()) {
    const Float2* states = parts.states + split_part(a, block_z(), heads.first + r, 0);
    float* weights = shared.scores + r * kSplitTile;
    float largest = kLowest;
    for (int p = lane(); p < count; p += lane_count()) largest = max_of(largest, states[p].x);
    largest = warp_max(largest);
    float total = 0.0F;
    for (int p = lane(); p < count; p += lane_count()) {
      weights[p] = exp_of(states[p].x - largest);
      total = fma_of(weights[p], states[p].y, total);
    }
    total = warp_sum(total);
    if (lane() == 0) shared.factor[r] = total == 0.0F ? 0.0F : 1.0F / total;
  }
}

/// The parts' sums to the heads' results. Four columns of a head have `shares` threads, each with
/// every so manyth part.
template <int R>
STRATA_DEVICE void combine_parts(const AttentionArgs& a, SplitShared<R>& shared,
                                 const BlockHeads& heads, const SplitParts& parts, int count) {
  weigh_parts(a, shared, heads, parts, count);
  sync_block();
  const int fours = a.head_dim / 4;
  const int items = heads.count * fours;
  const int shares = max_of(1, min_of(kSplitWarps, threads_x() / items));
  for (int i = thread_x(); i < items * shares; i += threads_x()) {
    const int r = i % items / fours;
    const float* from = parts.sums + split_part(a, block_z(), heads.first + r, 0) * a.head_dim +
                        4 * (i % items % fours);
    Four sum = {};
    for (int p = i / items; p < count; p += shares) {
      const Four part = load16<Four>(from + p * a.head_dim);
      const float weight = shared.scores[r * kSplitTile + p];
      STRATA_UNROLL
      for (int j = 0; j < 4; ++j) sum.v[j] = fma_of(weight, part.v[j], sum.v[j]);
    }
    store16(shared.rest() + 4 * i, sum);
  }
  sync_block();
  const int columns = a.heads() * a.head_dim;
  for (int base = 0; base < items; base += threads_x()) {  // all threads: quantizing votes
    const int i = base + thread_x();
    Four result = {};
    for (int s = 0; s < shares && i < items; ++s) {
      const Four sum = load16<Four>(shared.rest() + 4 * (s * items + i));
      for (int j = 0; j < 4; ++j) result.v[j] += sum.v[j];
    }
    for (int j = 0; j < 4 && i < items; ++j) result.v[j] *= shared.factor[i / fours];
    store_in_layout(parts.layout, parts.out, block_z(),
                    i < items ? heads.first * a.head_dim + 4 * i : columns, columns, result);
  }
}

// Block (part, kv head and share of its query heads, token). kOwn: `own` is to be made first.
template <DType kKey, DType kValue, int R, bool kOwn>
STRATA_KERNEL STRATA_BOUNDS_BLOCKS(kSplitThreads,
                                   (kSplitBlocks<R, kOwn>)) void attend_part(AttentionArgs a,
                                                                             SplitParts parts,
                                                                             OwnToken own) {
  take_turn();
  auto& shared = *dynamic_shared<SplitShared<R>>();
  const Step step(a.step);
  const int t = block_z();
  const BlockHeads heads = block_heads(a, block_y());
  const Visible sees = t < step.token_count() ? visible(step.position(t), a.window) : Visible{0, 0};
  const SplitPlan plan = split_plan(sees);
  if (plan.count == 0 && block_x() == 0) combine_parts(a, shared, heads, parts, 0);
  if (block_x() >= plan.count) return;
  const Team team(a.head_dim);
  const std::int32_t* table = step.pages(step.sequence(t));
  const int begin = sees.begin + block_x() * plan.chunk;
  const int end = min_of(begin + plan.chunk, sees.end);
  if constexpr (kOwn)
    turn_own_token<R>(a, own, heads, table, sees.end - 1, block_x() == plan.count - 1,
                      shared.rest(), team.columns());
  else
    load_queries<R>(a, heads, shared.rest(), team.columns());
  for (int r = thread_x(); r < R; r += threads_x()) {
    shared.largest[r] = kLowest;
    shared.total[r] = 0.0F;
  }
  Eight sums[R] = {};
  for (int tile = begin; tile < end; tile += kSplitTile) {
    const int count = min_of(kSplitTile, end - tile);
    for (int i = thread_x(); i < count; i += threads_x())
      shared.rows[i] = cache_index(a.k, table, heads.kv_head, tile + i);
    sync_block();
    Eight values[kSplitAhead];  // on their way while scores are computed
    load_values<kValue>(a, team, shared.rows, count, team.index, values);
    score_tile<kKey, R>(a, team, shared.rest(), shared.rows, count, shared.scores);
    sync_block();
    soften_tile(shared, count);
    sync_block();
    STRATA_UNROLL
    for (int r = 0; r < R; ++r) {
      STRATA_UNROLL
      for (int j = 0; j < 8; ++j) sums[r].v[j] *= shared.factor[r];
    }
    add_values<R>(team, shared, count, team.index, values, sums);
    const int pass = kSplitAhead * team.count;
    for (int base = team.index + pass; base < count; base += pass) {
      load_values<kValue>(a, team, shared.rows, count, base, values);
      add_values<R>(team, shared, count, base, values, sums);
    }
    sync_block();
  }
  store_part(a, team, shared, sums, heads, parts);
  unsigned* ticket = parts.tickets + block_z() * blocks_y() + block_y();
  if (last_of_blocks(ticket, plan.count, &shared.last))
    combine_parts(a, shared, heads, parts, plan.count);
}

}  // namespace strata::STRATA_SIMT
