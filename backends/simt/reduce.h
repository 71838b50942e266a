#pragma once

#include "platform.h"

// Reductions in an order that is the same from run to run.
namespace strata::STRATA_SIMT {

/// The sum over the warp's lanes, in every lane.
template <class T>
STRATA_DEVICE T warp_sum(T v) {
  STRATA_UNROLL
  for (int mask = lane_count() / 2; mask > 0; mask /= 2) v += shuffle_xor(v, mask);
  return v;
}

/// The largest over the warp's lanes, in every lane.
template <class T>
STRATA_DEVICE T warp_max(T v) {
  STRATA_UNROLL
  for (int mask = lane_count() / 2; mask > 0; mask /= 2) v = max_of(v, shuffle_xor(v, mask));
  return v;
}

/// The sum over all threads of the block, in every thread. Each calls it, with `shared` one T per
/// warp, which may be used again after the next sync_block().
template <class T>
STRATA_DEVICE T block_sum(T v, T* shared) {
  v = warp_sum(v);
  if (lane() == 0) shared[warp()] = v;
  sync_block();
  T sum = shared[0];
  const int warps = threads_x() / lane_count();
  for (int w = 1; w < warps; ++w) sum += shared[w];
  return sum;
}

/// The largest likewise.
template <class T>
STRATA_DEVICE T block_max(T v, T* shared) {
  v = warp_max(v);
  if (lane() == 0) shared[warp()] = v;
  sync_block();
  T largest = shared[0];
  const int warps = threads_x() / lane_count();
  for (int w = 1; w < warps; ++w) largest = max_of(largest, shared[w]);
  return largest;
}

}  // namespace strata::STRATA_SIMT
