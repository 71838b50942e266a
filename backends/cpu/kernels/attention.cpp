#include <math.h>

#include "backends/cpu/kernels/attention_tile.h"
#include "backends/cpu/kernels/exp16.h"

namespace strata::cpu::STRATA_ISA {

static inline std::int64_t smaller(std::int64_t a, std::int64_t b) { return a < b ? a : b; }
static inline std::int64_t larger(std::int64_t a, std::int64_t b) { return a > b ? a : b; }

// What the `count` rows from `first` on see of the slots [from, to): any of them, and all of them.
struct Seen {
  std::int64_t any_begin, any_end, all_begin, all_end;
};
static inline Seen seen_by(const AttentionRows& a, std::int64_t first, int count, std::int64_t from,
                           std::int64_t to) {
  Seen seen{to, from, from, to};
  for (std::int64_t r = first; r < first + count; ++r) {
    seen.any_begin = smaller(seen.any_begin, larger(a.begin[r], from));
    seen.any_end = larger(seen.any_end, smaller(a.end[r], to));
    seen.all_begin = larger(seen.all_begin, a.begin[r]);
    seen.all_end = smaller(seen.all_end, a.end[r]);
  }
  return seen;
}

// How far ahead of what is computed memory is read: its latency times what a core can read.
static constexpr std::int64_t kFetchBytes = 8192;

// Starts to read what comes kFetchBytes behind `count` slots from `begin` on.
static inline void fetch_ahead(const CacheSlots& slots, std::int64_t begin, std::int64_t count) {
  const std::byte* p = slots.data + begin * slots.row_bytes + kFetchBytes;
  if (p >= slots.end) {
    if (slots.next == nullptr) return;
    p = slots.next + (p - slots.end);
  }
  for (std::int64_t i = 0; i < count * slots.row_bytes; i += 64) __builtin_prefetch(p + i);
}

template <class Row, int rows>
static void score_rows(const AttentionRows& a, const CacheSlots& keys, std::int64_t r) {
  const Seen seen = seen_by(a, r, rows, keys.first, keys.first + keys.count);
  const float* q = a.q + r * a.stride;
  float* scores = a.scores + r * kScoreStride;
  for (std::int64_t j = seen.any_begin; j < seen.any_end; j += kTileSums / rows) {
    if (r == 0) fetch_ahead(keys, j - keys.first, kTileSums / rows);
    score_tile<Row, rows>(q, a.stride, keys.data + (j - keys.first) * keys.row_bytes,
                          keys.row_bytes, seen.any_end - j, a.scale, scores + j);
  }
}

template <class Row>
static void scores_of(const AttentionRows& a, const CacheSlots& keys) {
  std::int64_t r = 0;
  if constexpr (kTileRows >= 4)
    for (; r + 4 <= a.rows; r += 4) score_rows<Row, 4>(a, keys, r);
  for (; r + 2 <= a.rows; r += 2) score_rows<Row, 2>(a, keys, r);
  if (r < a.rows) score_rows<Row, 1>(a, keys, r);
}

template <class Row, int rows>
static inline void add_slots(const AttentionRows& a, const CacheSlots& values, std::int64_t r,
                             std::int64_t begin, std::int64_t end) {
  constexpr int kMost = kTileSums / rows;
  constexpr int kVectors = kMost < kTileVectors ? kMost : kTileVectors;
  if (begin < end)
    value_rows<Row, rows, kVectors>(a.scores + r * kScoreStride + begin,
                                    values.data + (begin - values.first) * values.row_bytes,
                                    values.row_bytes, end - begin, 0, a.acc + r * a.stride,
                                    a.stride);
}

// Slots whose values are added at once, so that fetching is spread over the time.
static constexpr std::int64_t kFetchSlots = 8;

// Slots that not all rows of the tile see are added row by row, before and behind the others.
template <class Row, int rows>
static void add_values(const AttentionRows& a, const CacheSlots& values, std::int64_t r) {
  const std::int64_t from = values.first;
  const std::int64_t to = values.first + values.count;
  const Seen seen = seen_by(a, r, rows, from, to);
  const std::int64_t begin = smaller(seen.all_begin, to);
  const std::int64_t end = larger(seen.all_end, begin);
  if (begin > seen.any_begin)
    for (int i = 0; i < rows; ++i)
      add_slots<Row, 1>(a, values, r + i, larger(a.begin[r + i], from),
                        smaller(a.end[r + i], begin));
  for (std::int64_t j = begin; j < end; j += kFetchSlots) {
    if (r == 0) fetch_ahead(values, j - values.first, kFetchSlots);
    add_slots<Row, rows>(a, values, r, j, smaller(j + kFetchSlots, end));
  }
  if (end < seen.any_end)
    for (int i = 0; i < rows; ++i)
      add_slots<Row, 1>(a, values, r + i, larger(a.begin[r + i], end), smaller(a.end[r + i], to));
}

template <class Row>
static void values_of(const AttentionRows& a, const CacheSlots& values) {
  std::int64_t r = 0;
  if constexpr (kTileRows >= 4)
    for (; r + 4 <= a.rows; r += 4) add_values<Row, 4>(a, values, r);
  for (; r + 2 <= a.rows; r += 2) add_values<Row, 2>(a, values, r);
  if (r < a.rows) add_values<Row, 1>(a, values, r);
}

static float element(DType dtype, const std::byte* row, std::int64_t i) {
  std::uint16_t small;
  __builtin_memcpy(&small, row + 2 * i, sizeof(small));
  if (dtype == DType::F16) return f16_value(small);
  if (dtype == DType::BF16) return bf16_value(small);
  float value;
  __builtin_memcpy(&value, row + 4 * i, sizeof(value));
  return value;
}

template <class Row>
static void convert_rows(const CacheSlots& slots, std::int64_t dim, std::int64_t stride,
                         float* out) {
  for (std::int64_t j = 0; j < slots.count; ++j, out += stride) {
    const std::byte* row = slots.data + j * slots.row_bytes;
    for (std::int64_t i = 0; i < dim / 16; ++i) store16(out + 16 * i, Row::load(row, i));
    for (std::int64_t i = dim / 16 * 16; i < stride; ++i)
      out[i] = i < dim ? element(slots.dtype, row, i) : 0.0F;
  }
}

// Slots as rows of `stride` floats in `scratch`.
static CacheSlots converted(const AttentionRows& a, const CacheSlots& slots, float* scratch) {
  if (slots.dtype == DType::F16)
    convert_rows<F16Row>(slots, a.dim, a.stride, scratch);
  else if (slots.dtype == DType::BF16)
    convert_rows<Bf16Row>(slots, a.dim, a.stride, scratch);
  else if (slots.dtype == DType::Q8_0)
    convert_rows<Q8Row>(slots, a.dim, a.stride, scratch);
  else
    convert_rows<F32Row>(slots, a.dim, a.stride, scratch);
  return {DType::F32,   reinterpret_cast<const std::byte*>(scratch),
          a.stride * 4, slots.first,
          slots.count,  nullptr,
          nullptr};
}

// Few rows convert what they read in registers; many share rows that were converted once. A row
// that is no whole number of vectors is always converted, padded with zeros.
static bool in_registers(const AttentionRows& a, DType dtype) {
  return a.dim == a.stride && (dtype == DType::F32 || a.rows <= 2 * kTileRows);
}

static CacheSlots part_of(const CacheSlots& slots, std::int64_t begin) {
  return {slots.dtype,         slots.data + begin * slots.row_bytes,          slots.row_bytes,
          slots.first + begin, smaller(kConvertedSlots, slots.count - begin), slots.end,
          slots.next};
}

// a.scores of these slots, for the rows that see them. scratch (kConvertedSlots, a.stride).
void attention_scores(const AttentionRows& a, const CacheSlots& keys, float* scratch) {
  for (std::int64_t i = 0; i < keys.count; i += kConvertedSlots) {
    const CacheSlots part = part_of(keys, i);
    if (!in_registers(a, part.dtype))
      scores_of<F32Row>(a, converted(a, part, scratch));
    else if (part.dtype == DType::F16)
      scores_of<F16Row>(a, part);
    else if (part.dtype == DType::BF16)
      scores_of<Bf16Row>(a, part);
    else if (part.dtype == DType::Q8_0)
      scores_of<Q8Row>(a, part);
    else
      scores_of<F32Row>(a, part);
  }
}

// a.acc += score * value over these slots, ascending; called for ascending slots.
void attention_values(const AttentionRows& a, const CacheSlots& values, float* scratch) {
  for (std::int64_t i = 0; i < values.count; i += kConvertedSlots) {
    const CacheSlots part = part_of(values, i);
    if (!in_registers(a, part.dtype))
      values_of<F32Row>(a, converted(a, part, scratch));
    else if (part.dtype == DType::F16)
      values_of<F16Row>(a, part);
    else if (part.dtype == DType::BF16)
      values_of<Bf16Row>(a, part);
    else if (part.dtype == DType::Q8_0)
      values_of<Q8Row>(a, part);
    else
      values_of<F32Row>(a, part);
  }
}

static float exp1(float x) {
  float value;
  store16_part(&value, exp16(set16(x)), 1);
  return value;
}

// The lanes from `left` < 16 on are -inf.
static inline F32x16 last_scores(const float* scores, std::int64_t left) {
  float values[kWide];
  for (std::int64_t i = 0; i < kWide; ++i) values[i] = i < left ? scores[i] : -INFINITY;
  return load16(values);
}

// NaN is passed over.
static float largest_of(const float* scores, std::int64_t count) {
  F32x16 best = set16(-INFINITY);
  std::int64_t j = 0;
  for (; j + kWide <= count; j += kWide) best = max16(load16(scores + j), best);
  if (j < count) best = max16(last_scores(scores + j, count - j), best);
  float lanes[kWide];
  store16(lanes, best);
  float largest = lanes[0];
  for (int i = 1; i < kWide; ++i) largest = lanes[i] > largest ? lanes[i] : largest;
  return largest;
}

// Turns scores into exp(score - shift) and returns their sum.
static float exponentials(float* scores, std::int64_t count, float shift) {
  const F32x16 shifts = set16(-shift);
  F32x16 total = set16(0.0F);
  std::int64_t j = 0;
  for (; j + kWide <= count; j += kWide) {
    const F32x16 p = exp16(add16(load16(scores + j), shifts));
    store16(scores + j, p);
    total = add16(total, p);
  }
  if (j < count) {
    const F32x16 p = exp16(add16(last_scores(scores + j, count - j), shifts));
    store16_part(scores + j, p, count - j);
    total = add16(total, p);
  }
  return sum16(total);
}

// Where nothing but -inf was seen, only a NaN among the scores counts.
static inline float shift_of(float largest) { return largest == -INFINITY ? 0.0F : largest; }

// Scores to exponentials, with a.state; a.acc begins at zero. A row that sees no slot has (-inf,
// 0).
void attention_softmax(const AttentionRows& a) {
  for (std::int64_t r = 0; r < a.rows; ++r) {
    float* scores = a.scores + r * kScoreStride + a.begin[r];
    const std::int64_t count = larger(a.end[r] - a.begin[r], 0);
    const float largest = largest_of(scores, count);
    a.state[2 * r] = largest;
    a.state[2 * r + 1] = exponentials(scores, count, shift_of(largest));
  }
  for (std::int64_t i = 0; i < a.rows * a.stride; i += 16) store16(a.acc + i, set16(0.0F));
}

// The chunk (part_acc, part_state) after what is in (acc, state), both (rows, stride), (rows, 2).
void attention_merge(const float* part_acc, const float* part_state, std::int64_t rows,
                     std::int64_t stride, float* acc, float* state) {
  for (std::int64_t r = 0; r < rows; ++r, part_state += 2, state += 2) {
    // Nothing seen: not even the sign of a zero changes.
    if (part_state[0] == -INFINITY && part_state[1] == 0.0F) continue;
    const float largest = part_state[0] > state[0] ? part_state[0] : state[0];
    const float keep = exp1(state[0] - shift_of(largest));
    const float weight = exp1(part_state[0] - shift_of(largest));
    state[0] = largest;
    state[1] = state[1] * keep + part_state[1] * weight;
    for (std::int64_t i = r * stride; i < (r + 1) * stride; i += 16)
      store16(acc + i,
              fma16(load16(part_acc + i), set16(weight), mul16(load16(acc + i), set16(keep))));
  }
}

// out (dim) = acc / sum of exponentials of one row; zeros for a row that saw nothing.
void attention_finish(const float* acc, const float* state, std::int64_t dim, float* out) {
  const F32x16 scale = set16(state[1] == 0.0F ? 0.0F : 1.0F / state[1]);
  for (std::int64_t i = 0; i < dim; i += 16)
    store16_left(out + i, mul16(load16(acc + i), scale), dim - i);
}

}  // namespace strata::cpu::STRATA_ISA
