#pragma once

#include "backends/simt/common.h"
#include "backends/simt/matmul/job.h"
#include "backends/simt/rows.h"
#include "backends/simt/tickets.h"
#include "backends/simt/weights.h"

// Few rows of x times a matrix: every weight is read once, for all of them, and nothing waits for
// anything but memory. A warp has kRows rows of w (of gated pairs, half of them of each matrix) and
// all columns, or with K cut into slices, as many warps of the block have each a slice; a lane has
// every lane_count()-th unit of the columns.
//
// Math says what a unit is and how it is multiplied: int8_math.h, float_math.h.
//   units(k)                                   units of a row
//   step<kRows, kTokens>(job, places, x, n, unit, sums)
//                                              sums[r * kTokens + t] += row r . row x[t], t < n
//   prefetch<kRows>(places, unit)              asks early for what the step reads of w
// The result of a row of x does not depend on the others, nor on kRows and kTokens, nor on n: only
// on K and the lane count.
namespace strata::STRATA_SIMT {

inline constexpr int kGemvMostWarps = kBlockThreads / 32;

/// Bytes of shared memory of a launch: the warps' sums, and an int.
inline unsigned gemv_shared_bytes(int rows, int tokens) {
  return static_cast<unsigned>(kGemvMostWarps * rows * tokens + 1) * 4;
}

/// Warps that share the columns of a row: those that leave each lane about `units_per_lane` units.
STRATA_BOTH int gemv_slices(int units, int lanes, int warps, int units_per_lane) {
  int slices = 1;
  while (slices * 2 <= warps && slices * 2 * lanes * units_per_lane <= units) slices *= 2;
  return slices;
}

/// Sums each of the values over all lanes; lane i < kValues gets that of value value_of_lane(i).
/// The lanes exchange halves of what they have, so that it takes little more than kValues
/// exchanges; the order of additions is the same for all values.
template <int kValues, int kCount = kValues / 2>
STRATA_DEVICE float sum_over_lanes(float (&values)[kValues]) {
  if constexpr (kCount > 0) {
    constexpr int kMask = kValues / 2 / kCount;
    const bool upper = (lane() & kMask) != 0;
    STRATA_UNROLL
    for (int i = 0; i < kCount; ++i) {
      const float low = values[i];
      const float high = values[i + kCount];
      values[i] = (upper ? high : low) + shuffle_xor(upper ? low : high, kMask);
    }
    return sum_over_lanes<kValues, kCount / 2>(values);
  } else {
    for (int mask = kValues; mask < lane_count(); mask *= 2)
      values[0] += shuffle_xor(values[0], mask);
    return values[0];
  }
}
template <int kValues>
STRATA_DEVICE int value_of_lane(int lane) {
  int value = 0;
  STRATA_UNROLL
  for (int bit = 1, count = kValues / 2; count > 0; bit *= 2, count /= 2)
    if ((lane & bit) != 0) value += count;
  return value;
}

/// The rows of x that this block multiplies; none when another block has them.
template <int kTokens>
STRATA_DEVICE TokenRange gemv_tokens(const MatmulJob& job) {
  if (job.routes.offsets == nullptr) {
    const int first = block_y() * kTokens;
    return {first, min_of(kTokens, job.rows - first), 0};
  }
  const int place = block_y();
  const int expert = expert_at(job.routes, place);
  if (expert == job.routes.experts) return {place, 0, 0};
  const int begin = job.routes.offsets[expert];
  const int end = job.routes.offsets[expert + 1];
  if ((place - begin) % kTokens != 0) return {place, 0, expert};
  return {place, min_of(kTokens, end - place), expert};
}

/// Where a warp's rows of w are: in planes all in one panel.
template <int kRows>
struct GemvRows {
  const std::byte* base;     ///< the panel or row of the first
  const std::byte* up_base;  ///< the same of w_up
  std::int64_t stride;       ///< bytes from row to row; 0 in planes
  unsigned blocks;
  unsigned first;  ///< row in the panel
  unsigned last;   ///< added to `first` at most, so that no row beyond the matrix is read
  bool gated;

  STRATA_DEVICE RowPlace operator[](int r) const {
    const bool up = gated && r >= kRows / 2;
    const unsigned row = min_of(static_cast<unsigned>(up ? r - kRows / 2 : r), last);
    return {(up ? up_base : base) + static_cast<std::int64_t>(row) * stride, blocks,
            (first + row) * blocks * (stride == 0 ? 1 : 0)};
  }
};

template <int kRows>
STRATA_DEVICE GemvRows<kRows> gemv_rows(const MatmulJob& job, const MatmulMatrix& m, int row,
                                        int expert, unsigned blocks) {
  if (row >= m.n) row = 0;  // what is computed there is not written
  std::int64_t at = expert * job.routes.expert_bytes;
  const auto left = static_cast<unsigned>(m.n - 1 - row);
  constexpr auto kPanel = static_cast<int>(kPanelRows);
  at += (job.planes ? row / kPanel : row) * m.w_stride;
  const std::byte* up = job.gated ? m.w_up : m.w;
  return {m.w + at,
          up + at,
          job.planes ? 0 : m.w_stride,
          blocks,
          job.planes ? static_cast<unsigned>(row % kPanel) : 0,
          left,
          job.gated};
}

/// Makes the columns that this block and its neighbours have computed int8 once the last of them is
/// there. All threads of the block call it.
template <int kTokens>
STRATA_DEVICE void quantize_when_last(const MatmulJob& job, const TokenRange& range, int* shared) {
  const MatmulMatrix& m = job.matrices[0];  // there is no other
  constexpr int kBlock = kScaleBlock;
  constexpr int kThreadsOfRow = kBlock / 4;
  const int group = block_x() / job.quantized.sharing;
  unsigned* ticket = job.quantized.tickets + block_y() * (m.n / kBlock) + group;
  if (!last_of_blocks(ticket, job.quantized.sharing, shared)) return;
  if (warp() * lane_count() >= kThreadsOfRow * kTokens) return;  // whole warps: they vote
  const int i = thread_x() / kThreadsOfRow;
  const bool real = i < range.count;
  const int row = out_row(job.routes, range, real ? i : 0);
  const int column = group * kBlock + 4 * (thread_x() % kThreadsOfRow);
  Four x = {};
  if (real) x = load16<Four>(m.out + row * m.out_stride + column * 4);
  store_quantized(job.quantized.data + row * job.quantized.stride, real ? column : m.n, m.n, x);
}

/// Norms the one row of the result once the last block of all has computed its columns: a launch
/// less, where a row is too little work to be worth one. All threads of the block call it; `shared`
/// is kNormWarps floats.
STRATA_DEVICE void norm_when_last(const MatmulJob& job, float* shared, int* last) {
  if (!last_of_blocks(job.normed.ticket, blocks_x(), last)) return;
  norm_row(job.normed.norm, job.normed.norm.layout, 0, shared);
}

/// What a warp has of the rows and columns of a matrix.
template <int kRows>
struct GemvShare {
  int units;
  int slices;  ///< of the columns
  int slice;   ///< this warp's
  int row;     ///< the first; not in the matrix when there is none left

  STRATA_DEVICE GemvShare(const MatmulJob& job, const MatmulMatrix& m, int all_units,
                          int units_per_lane)
      : units(all_units),
        slices(gemv_slices(units, lane_count(), warps(), units_per_lane)),
        slice(warp() % slices),
        row(((block_x() - m.first_block) * (warps() / slices) + warp() / slices) *
            (job.gated ? kRows / 2 : kRows)) {}
  STRATA_DEVICE static int warps() { return threads_x() / lane_count(); }
  STRATA_DEVICE int first_unit() const { return slice * lane_count() + lane(); }
};

/// Asks for the first unit of each lane.
template <class Math, int kRows>
STRATA_DEVICE void prefetch_weights(const MatmulJob& job) {
  const MatmulMatrix m = matrix_of_block(job);
  const GemvShare<kRows> share(job, m, Math::units(job.k), Math::kUnitsPerLane);
  if (share.first_unit() < share.units)
    Math::template prefetch<kRows>(gemv_rows<kRows>(job, m, share.row, 0, Math::blocks(job.k)),
                                   share.first_unit());
}

/// Blocks (all rows of the matrices, tiles of kTokens rows of x or routes). Shared: see
/// gemv_shared_bytes(). Weights are read early, and only into the cache: what they are multiplied
/// with is what the previous kernel makes, and so are routes.
template <class Math, int kRows, int kTokens>
STRATA_KERNEL STRATA_BOUNDS_BLOCKS(kBlockThreads, 2) void gemv(MatmulJob job) {
  if (job.routes.offsets == nullptr) prefetch_weights<Math, kRows>(job);
  wait_for_previous();
  let_next_start();
  constexpr int kValues = kRows * kTokens;
  const TokenRange range = gemv_tokens<kTokens>(job);
  if (range.count <= 0) return;
  const MatmulMatrix m = matrix_of_block(job);
  const GemvShare<kRows> share(job, m, Math::units(job.k), Math::kUnitsPerLane);
  const GemvRows<kRows> places =
      gemv_rows<kRows>(job, m, share.row, range.expert, Math::blocks(job.k));
  const std::byte* x[kTokens];
  STRATA_UNROLL
  for (int t = 0; t < kTokens; ++t) {
    const int out = out_row(job.routes, range, min_of(t, range.count - 1));
    x[t] = job.x + x_row(job.routes, out) * job.x_stride;
  }
  float sums[kValues] = {};
  for (int unit = share.first_unit(); unit < share.units; unit += share.slices * lane_count())
    Math::template step<kRows, kTokens>(job, places, x, range.count, unit, sums);

  float value = sum_over_lanes<kValues>(sums);
  auto* shared = dynamic_shared<float>();
  if (share.slices > 1) {
    if (lane() < kValues) shared[warp() * kValues + lane()] = value;
    sync_block();
    for (int s = 1; s < share.slices && share.slice == 0; ++s)
      if (lane() < kValues) value += shared[(warp() + s) * kValues + lane()];
  }
  const int index = value_of_lane<kValues>(lane());
  const int t = index % kTokens;
  const int r = index / kTokens;
  // Of gated pairs, `up` is half of the values further on.
  if (job.gated) value = gate_of(value, shuffle_xor(value, 1));
  const bool pair = !job.gated || r < kRows / 2;
  if (share.slice == 0 && lane() < kValues && pair && t < range.count && share.row + r < m.n)
    write_result(m, out_row(job.routes, range, t), share.row + r, value);
  auto* last = reinterpret_cast<int*>(shared + kGemvMostWarps * kValues);
  if (job.quantized.data != nullptr) quantize_when_last<kTokens>(job, range, last);
  if constexpr (kTokens == 1) {
    static_assert(kNormWarps <= kGemvMostWarps * kValues);
    if (job.normed.norm.out.data != nullptr) norm_when_last(job, shared, last);
  }
}

}  // namespace strata::STRATA_SIMT
