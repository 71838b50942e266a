#pragma once

// The queries of a block that has many: (token, head) pairs of one kv head and of consecutive
// tokens of one sequence.

#include "backends/simt/attention.h"
#include "backends/simt/reduce.h"

namespace strata::STRATA_SIMT {

/// Tokens of a block: consecutive ones of one sequence, not across a multiple of `most`, so that
/// every token knows from its neighbour whether it is a group's first.
struct TokenGroup {
  int first;
  int count;  // 0: another block has this token
};
STRATA_DEVICE TokenGroup token_group(const Step& step, int t, int most) {
  const int sequence = step.sequence(t);
  if (t % most != 0 && step.sequence(t - 1) == sequence) return {t, 0};
  const int end = min_of(t - t % most + most, step.token_count());
  int count = 0;
  for (int base = t; base < end; base += lane_count()) {
    const int other = base + lane();
    const std::uint64_t differs = ballot(other < end && step.sequence(other) != sequence);
    if (differs == 0) {
      count = min_of(base + lane_count(), end) - t;
      continue;
    }
    return {t, base - t + bit_count((differs & (~differs + 1)) - 1)};
  }
  return {t, count};
}

/// The queries of a block. Query i is token first + i / shared, head i % shared.
struct BlockQueries {
  TokenGroup tokens;
  BlockHeads heads;
  int shared;

  STRATA_DEVICE int count() const { return tokens.count * shared; }
  STRATA_DEVICE int token(int i) const { return tokens.first + i / shared; }
  STRATA_DEVICE int head(int i) const { return heads.first + i % shared; }
  STRATA_DEVICE bool real(int i) const { return i < count() && i % shared < heads.count; }
};

/// Fills sees (most); returns the positions that any query sees. Every warp finds the same.
STRATA_DEVICE Visible find_visible(const AttentionArgs& a, const Step& step,
                                   const BlockQueries& queries, Visible* sees, int most) {
  int first = -2147483647;  // negated, for the largest
  int end = 0;
  for (int i = lane(); i < most; i += lane_count()) {
    const Visible mine =
        queries.real(i) ? visible(step.position(queries.token(i)), a.window) : Visible{0, 0};
    if (warp() == 0) sees[i] = mine;
    if (mine.end == 0) continue;
    first = max_of(first, -mine.begin);
    end = max_of(end, mine.end);
  }
  return {-warp_max(first), warp_max(end)};
}

/// Zeros for the block's heads of a token beyond the step's.
STRATA_DEVICE void clear_token(const AttentionArgs& a, const BlockHeads& heads, int t) {
  float* out = a.out.row(t) + heads.first * a.head_dim;
  for (int i = thread_x(); i < heads.count * a.head_dim; i += threads_x()) out[i] = 0.0F;
}

}  // namespace strata::STRATA_SIMT
