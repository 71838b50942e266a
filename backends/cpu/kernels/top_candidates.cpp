#include <math.h>

#include "backends/cpu/kernels/exp16.h"

namespace strata::cpu::STRATA_ISA {

static constexpr std::int64_t kTile = 1024;

// Up to kTile logits with NaN as -inf, filled up with -inf; returns the largest. Adds to `unusable`
// those that are NaN or +inf.
static float clean_tile(const float* logits, std::int64_t count, float* tile,
                        std::int32_t* unusable) {
  std::int32_t bad = 0;
  for (std::int64_t i = 0; i < count; ++i) {
    const float v = logits[i];
    bad += v < INFINITY ? 0 : 1;
    tile[i] = v == v ? v : -INFINITY;
  }
  for (std::int64_t i = count; i < kTile; ++i) tile[i] = -INFINITY;
  *unusable += bad;
  F32x16 best = set16(-INFINITY);
  for (std::int64_t i = 0; i < kTile; i += kWide) best = max16(best, load16(tile + i));
  float lanes[kWide];
  store16(lanes, best);
  float largest = lanes[0];
  for (std::int64_t i = 1; i < kWide; ++i) largest = lanes[i] > largest ? lanes[i] : largest;
  return largest;
}

// Puts a logit among the `held` largest before it, of which at most `count` are kept. Ids ascend:
// it comes behind its equals.
static std::int64_t insert(float logit, std::int32_t id, std::int64_t held, std::int64_t count,
                           std::int32_t* ids, float* values) {
  std::int64_t at = held < count ? held : count - 1;
  for (; at > 0 && logit > values[at - 1]; --at) {
    values[at] = values[at - 1];
    ids[at] = ids[at - 1];
  }
  values[at] = logit;
  ids[at] = id;
  return held < count ? held + 1 : count;
}

// The sum of exp(logit - largest) of a cleaned tile; `largest` is finite.
static float tile_weights(const float* tile, float largest) {
  const F32x16 shift = set16(largest);
  F32x16 total = set16(0.0F);
  for (std::int64_t i = 0; i < kTile; i += kWide)
    total = add16(total, exp16(sub16(load16(tile + i), shift)));
  return sum16(total);
}

static float infinite_weights(const float* logits, std::int64_t n) {
  std::int32_t infinities = 0;
  for (std::int64_t i = 0; i < n; ++i) infinities += logits[i] == INFINITY ? 1 : 0;
  return static_cast<float>(infinities);
}

// The `count` largest of n >= 1 logits with their ids, the sum of exp(logit - largest) and how many
// logits are NaN or +inf, as TopCandidates says.
void top_candidates(const float* logits, std::int64_t n, std::int64_t count, std::int32_t* ids,
                    float* values, float* weight_sum, std::int32_t* unusable) {
  float tile[kTile];
  std::int64_t held = 0;
  *unusable = 0;
  for (std::int64_t first = 0; first < n; first += kTile) {
    const std::int64_t here = n - first < kTile ? n - first : kTile;
    const float largest = clean_tile(logits + first, here, tile, unusable);
    if (held == count && !(largest > values[count - 1])) continue;
    for (std::int64_t i = 0; i < here; ++i)
      if (held < count || tile[i] > values[count - 1])
        held = insert(tile[i], static_cast<std::int32_t>(first + i), held, count, ids, values);
  }
  for (; held < count; ++held) {
    ids[held] = -1;
    values[held] = -INFINITY;
  }
  *weight_sum = values[0] == INFINITY ? infinite_weights(logits, n) : 0.0F;
  if (values[0] == INFINITY || values[0] == -INFINITY) return;
  double sum = 0;
  std::int32_t counted = 0;
  for (std::int64_t first = 0; first < n; first += kTile) {
    const std::int64_t here = n - first < kTile ? n - first : kTile;
    clean_tile(logits + first, here, tile, &counted);
    sum += static_cast<double>(tile_weights(tile, values[0]));
  }
  *weight_sum = static_cast<float>(sum);
}

}  // namespace strata::cpu::STRATA_ISA
