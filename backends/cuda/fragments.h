#pragma once

// The CUDA twin of fragments.h: what a warp multiplies at once on the tensor cores. Its siblings
// are backends/hip/fragments.h and tests/simt_host/fragments.h.

#include "platform.h"

namespace strata::STRATA_SIMT {

/// 16 rows of 16 columns of bf16, spread over the warp as mma.m16n8k16 wants its first operand, and
/// its second one twice: 8 rows in v[0] and v[2], 8 in v[1] and v[3].
struct Fragment {
  unsigned v[4];
};

/// From shared memory, every row on a multiple of 16 bytes; `pitch` from row to row, in elements.
STRATA_DEVICE Fragment load_fragment(const std::uint16_t* tile, int pitch) {
  const std::uint16_t* mine = tile + lane() % 16 * pitch + lane() / 16 * 8;
  const auto address = static_cast<unsigned>(__cvta_generic_to_shared(mine));
  Fragment f;
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(f.v[0]), "=r"(f.v[1]), "=r"(f.v[2]), "=r"(f.v[3])
               : "r"(address)
               : "memory");
  return f;
}

/// 16 rows (of a) by 16 columns (rows of b) of f32.
struct Accumulator {
  float v[8] = {};
};

/// sums += a * b^T
STRATA_DEVICE void multiply(Accumulator& sums, const Fragment& a, const Fragment& b) {
  STRATA_UNROLL
  for (int half = 0; half < 2; ++half) {
    float* d = sums.v + 4 * half;
    asm("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, "
        "{%8, %9}, {%0, %1, %2, %3};"
        : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
        : "r"(a.v[0]), "r"(a.v[1]), "r"(a.v[2]), "r"(a.v[3]), "r"(b.v[half]), "r"(b.v[2 + half]));
  }
}

/// Calls use(row, column, value) for the lane's elements.
template <class Use>
STRATA_DEVICE void for_each_element(Accumulator& sums, const Use& use) {
  STRATA_UNROLL
  for (int i = 0; i < 8; ++i)
    use(lane() / 4 + i / 2 % 2 * 8, lane() % 4 * 2 + i % 2 + i / 4 * 8, sums.v[i]);
}

/// Two floats rounded to bf16, to nearest even, the first in the low half.
STRATA_DEVICE unsigned bf16_pair(float low, float high) {
  unsigned pair;
  asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(pair) : "f"(high), "f"(low));
  return pair;
}

}  // namespace strata::STRATA_SIMT
