#pragma once

#include "platform.h"

// Fragments where there are no matrix instructions: a fragment is a place in shared memory, which a
// multiplication reads. Products of bf16 are exact in f32; a sum gets them one by one in the order
// of k, each addition rounded to f32. See backends/cuda/fragments.h.
namespace strata::STRATA_SIMT {

struct Fragment {
  const std::uint16_t* tile;
  int pitch;
};

STRATA_DEVICE Fragment load_fragment(const std::uint16_t* tile, int pitch) { return {tile, pitch}; }

/// A lane has some rows of one column.
struct Accumulator {
  float v[8] = {};
};

/// Calls use(row, column, value) for the lane's elements.
template <class Use>
STRATA_DEVICE void for_each_element(Accumulator& sums, const Use& use) {
  STRATA_UNROLL
  for (int i = 0; i < 256 / lane_count(); ++i)
    use(lane() / 16 + i * (lane_count() / 16), lane() % 16, sums.v[i]);
}

STRATA_DEVICE void multiply(Accumulator& sums, const Fragment& a, const Fragment& b) {
  const int column = lane() % 16;
  STRATA_NO_UNROLL
  for (int k = 0; k < 16; ++k) {
    const float right = bf16_to_float(b.tile[column * b.pitch + k]);
    for_each_element(sums, [&](int row, int, float& sum) {
      sum = fma_of(bf16_to_float(a.tile[row * a.pitch + k]), right, sum);
    });
  }
}

}  // namespace strata::STRATA_SIMT
