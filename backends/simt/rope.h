#pragma once

// Rotary embedding with what comes before it (per-head norms) and after it (the KV cache).

#include "backends/simt/cache.h"
#include "backends/simt/common.h"
#include "backends/simt/exact.h"
#include "backends/simt/norm.h"
#include "backends/simt/step.h"
#include "runtime/ops/ops.h"

namespace strata::STRATA_SIMT {

inline constexpr int kRopeThreads = 128;
inline constexpr int kRopeWarps = 4;  // of them at most

/// What a kernel needs of the attributes.
struct RopeShape {
  int head_dim;
  int rot_dim;
  bool interleaved;
  float magnitude;
  float eps;

  STRATA_DEVICE int pairs() const { return rot_dim / 2; }
  STRATA_DEVICE int first(int pair) const { return interleaved ? 2 * pair : pair; }
  STRATA_DEVICE int second(int pair) const { return interleaved ? 2 * pair + 1 : pair + pairs(); }
};

inline RopeShape rope_shape(const Rope& rope, float eps) {
  return {rope.head_dim, rope.rot_dim, rope.style == RopeStyle::interleaved, rope.magnitude, eps};
}

inline bool is_rope(const Rope& rope) {
  return rope.head_dim > 0 && rope.rot_dim >= 0 && rope.rot_dim % 2 == 0 &&
         rope.rot_dim <= rope.head_dim;
}

/// The token's cosines and sines times `magnitude` into turns (pairs), by all threads. The angle
/// is rounded to f32 first, as the models' reference implementations do.
STRATA_DEVICE void find_turns(const RopeShape& shape, const float* inv_freq, int position,
                              Turn* turns) {
  for (int i = thread_x(); i < shape.pairs(); i += threads_x()) {
    const float angle = rounded_product(static_cast<float>(position), inv_freq[i]);
    const Turn turn = turn_of(static_cast<double>(angle));
    turns[i] = {turn.cosine * shape.magnitude, turn.sine * shape.magnitude};
  }
}

/// out = rope(rms_norm(x, norm)) of a head, by the lanes of one warp; norm null is no norm. x and
/// out (head_dim) may be the same.
STRATA_DEVICE void turn_head(const RopeShape& shape, const Turn* turns, const float* x,
                             const float* norm, float* out) {
  const float scale = norm == nullptr ? 1.0F : head_norm_scale(x, shape.head_dim, shape.eps);
  const auto element = [&](int i) { return norm == nullptr ? x[i] : x[i] * scale * norm[i]; };
  for (int i = lane(); i < shape.pairs(); i += lane_count()) {
    const float a = element(shape.first(i));
    const float b = element(shape.second(i));
    const Turn turn = turns[i];
    out[shape.first(i)] = fma_of(a, turn.cosine, -rounded_product(b, turn.sine));
    out[shape.second(i)] = fma_of(b, turn.cosine, rounded_product(a, turn.sine));
  }
  for (int i = shape.rot_dim + lane(); i < shape.head_dim; i += lane_count()) out[i] = element(i);
}

/// Blocks in y for a batch: one token's heads are spread over many, many tokens share turns.
inline std::int64_t rope_tiles(std::int64_t tokens, std::int64_t heads) {
  const std::int64_t most = groups(heads, kRopeThreads / kMaxLanes);
  const std::int64_t wanted = groups(512, tokens);
  return wanted < most ? wanted : most;
}

}  // namespace strata::STRATA_SIMT
