#pragma once

// The norm of whole rows, in one order of summation whichever kernel makes it: that of
// kNormThreads threads, which have four columns at a time.

#include "backends/simt/cache.h"
#include "backends/simt/common.h"
#include "backends/simt/norm.h"
#include "backends/simt/rows.h"

namespace strata::STRATA_SIMT {

inline constexpr int kNormThreads = static_cast<int>(kBlockThreads);
inline constexpr int kNormWarps = kNormThreads / 32;  ///< at most

/// out = rms_norm(x, w) over rows of `columns`, in a layout of activations.
struct NormRows {
  FourRows x;
  FourRows w;
  FourRows out;
  Layout layout;  ///< of out
  int columns;
  float eps;
};

STRATA_DEVICE float row_norm_scale(const NormRows& norm, const float* row, float* shared) {
  // Rows as short as heads are summed like them.
  if (norm.columns <= kLargestHead) return head_norm_scale(row, norm.columns, norm.eps);
  float sum = 0.0F;
  for (int column = 4 * thread_x(); column < norm.columns; column += 4 * threads_x()) {
    const Four a = load_four(row, norm.x.wide, column, norm.columns);
    for (int i = 0; i < 4; ++i) sum = fma_of(a.v[i], a.v[i], sum);
  }
  return norm_scale(block_sum(sum, shared), norm.columns, norm.eps);
}

/// Row r, by all threads of a block: kNormThreads of them, or as many as have columns. `shared` is
/// kNormWarps floats. The second pass finds the row in the cache.
STRATA_DEVICE void norm_row(const NormRows& norm, Layout layout, std::int64_t r, float* shared) {
  const float* row = norm.x.row(r);
  const float scale = row_norm_scale(norm, row, shared);
  const int step = 4 * threads_x();
  for (int base = 0; base < norm.columns; base += step) {  // all threads: store_activation votes
    const int column = base + 4 * thread_x();
    Four a = load_four(row, norm.x.wide, column, norm.columns);
    const Four weight = load_four(norm.w.row(0), norm.w.wide, column, norm.columns);
    for (int i = 0; i < 4; ++i) a.v[i] = a.v[i] * scale * weight.v[i];
    store_in_layout(layout, norm.out, r, column, norm.columns, a);
  }
}

inline NormRows norm_rows_of(const TensorView& x, const TensorView& w, const TensorView& out,
                             float eps) {
  return {four_rows(x), four_rows(w), four_rows(out), out.layout, static_cast<int>(x.columns()),
          eps};
}

/// Enqueues the norm of so many rows. In ops/rms_norm.cu.
void launch_norm_rows(Stream& stream, const NormRows& norm, std::int64_t rows);

}  // namespace strata::STRATA_SIMT
