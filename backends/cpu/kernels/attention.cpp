#include <math.h>

#include "backends/cpu/kernels/exp16.h"

namespace strata::cpu::STRATA_ISA {

// scores[j] = q . k[j] * scale for n <= 4 rows k + j * dim.
template <int n>
static inline void score_rows(const float* q, const float* k, std::int64_t dim, float scale,
                              float* scores) {
  F32x16 sums[n];
  for (int j = 0; j < n; ++j) sums[j] = set16(0.0F);
  std::int64_t i = 0;
  for (; i + 16 <= dim; i += 16) {
    const F32x16 qi = load16(q + i);
    for (int j = 0; j < n; ++j) sums[j] = fma16(qi, load16(k + j * dim + i), sums[j]);
  }
  if (i < dim) {
    const F32x16 qi = load16_part(q + i, dim - i);
    for (int j = 0; j < n; ++j) sums[j] = fma16(qi, load16_part(k + j * dim + i, dim - i), sums[j]);
  }
  for (int j = 0; j < n; ++j) scores[j] = sum16(sums[j]) * scale;
}

static float exp1(float x) {
  float value;
  store16_part(&value, exp16(set16(x)), 1);
  return value;
}

// Turns scores into exp(score - largest) and returns their sum.
static float exponentials(float* scores, std::int64_t slots, float largest) {
  const F32x16 shift = set16(-largest);
  F32x16 total = set16(0.0F);
  for (std::int64_t j = 0; j < slots; j += 16) {
    const std::int64_t left = slots - j;
    store16_left(scores + j, exp16(add16(load16_left(scores + j, left), shift)), left);
    const F32x16 p = load16_left(scores + j, left);
    total = add16(total, p);
  }
  return sum16(total);
}

// acc = acc * keep + sum over j, ascending, of p[j] * v[j], for n * 16 elements.
template <int n>
static inline void add_rows_16(float* acc, float keep, const float* p, const float* v,
                               std::int64_t slots, std::int64_t dim) {
  F32x16 sums[n];
  for (int i = 0; i < n; ++i) sums[i] = mul16(load16(acc + 16 * i), set16(keep));
  for (std::int64_t j = 0; j < slots; ++j) {
    const F32x16 weight = set16(p[j]);
    for (int i = 0; i < n; ++i) sums[i] = fma16(weight, load16(v + j * dim + 16 * i), sums[i]);
  }
  for (int i = 0; i < n; ++i) store16(acc + 16 * i, sums[i]);
}

static void add_values(float* acc, float keep, const float* p, const float* v, std::int64_t slots,
                       std::int64_t dim) {
  std::int64_t i = 0;
  for (; i + 64 <= dim; i += 64) add_rows_16<4>(acc + i, keep, p, v + i, slots, dim);
  for (; i + 16 <= dim; i += 16) add_rows_16<1>(acc + i, keep, p, v + i, slots, dim);
  if (i == dim) return;
  F32x16 sums = mul16(load16_part(acc + i, dim - i), set16(keep));
  for (std::int64_t j = 0; j < slots; ++j)
    sums = fma16(set16(p[j]), load16_part(v + j * dim + i, dim - i), sums);
  store16_part(acc + i, sums, dim - i);
}

// One token's visible rows of one page and kv head, for the `heads` query heads that share it.
// q, acc (heads, dim), k, v (slots, dim), scores (slots) scratch. running holds per head the
// largest score so far and the sum of exp(score - largest): (-inf, 0) before the first page.
void attention_page(const float* q, const float* k, const float* v, std::int64_t heads,
                    std::int64_t dim, std::int64_t slots, float scale, float* scores, float* acc,
                    float* running) {
  for (std::int64_t h = 0; h < heads; ++h, q += dim, acc += dim, running += 2) {
    std::int64_t j = 0;
    for (; j + 4 <= slots; j += 4) score_rows<4>(q, k + j * dim, dim, scale, scores + j);
    for (; j < slots; ++j) score_rows<1>(q, k + j * dim, dim, scale, scores + j);
    float largest = running[0];
    for (j = 0; j < slots; ++j) largest = scores[j] > largest ? scores[j] : largest;
    // Nothing but -inf so far: only a NaN among the scores counts.
    const float shift = largest == -INFINITY ? 0.0F : largest;
    const float keep = exp1(running[0] - shift);
    running[1] = running[1] * keep + exponentials(scores, slots, shift);
    running[0] = largest;
    add_values(acc, keep, scores, v, slots, dim);
  }
}

// acc / sum of exponentials; zeros for a token that saw nothing.
void attention_finish(float* acc, const float* running, std::int64_t heads, std::int64_t dim) {
  for (std::int64_t h = 0; h < heads; ++h, acc += dim, running += 2) {
    const float scale = running[1] == 0.0F ? 0.0F : 1.0F / running[1];
    for (std::int64_t i = 0; i < dim; ++i) acc[i] *= scale;
  }
}

}  // namespace strata::cpu::STRATA_ISA
