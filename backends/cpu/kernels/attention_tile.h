#pragma once

#include "backends/cpu/kernels/attention_task.h"
#include "backends/cpu/kernels/simd.h"

// Tiles of query rows against rows of the cache. A score is summed in 16 lanes along the head,
// which sum16's tree then adds; a value's sum goes over the slots, ascending. So no number depends
// on the shape of a tile, and tiles are as large as the registers allow.

namespace strata::cpu::STRATA_ISA {

// Rows of a cache: load(row, i) is elements 16 i .. 16 i + 15, exact.
struct F32Row {
  static inline F32x16 load(const std::byte* row, std::int64_t i) {
    return load16(reinterpret_cast<const float*>(row) + 16 * i);
  }
};

struct F16Row {
  static inline F32x16 load(const std::byte* row, std::int64_t i) {
    return load16_f16(reinterpret_cast<const std::uint16_t*>(row) + 16 * i);
  }
};

struct Bf16Row {
  static inline F32x16 load(const std::byte* row, std::int64_t i) {
    const std::byte* p = row + 32 * i;
#if defined(__AVX512F__)
    const __m256i bits = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
    return {_mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(bits), 16))};
#elif defined(__AVX2__)
    const __m128i* bits = reinterpret_cast<const __m128i*>(p);
    const __m256i lo = _mm256_cvtepu16_epi32(_mm_loadu_si128(bits));
    const __m256i hi = _mm256_cvtepu16_epi32(_mm_loadu_si128(bits + 1));
    return {_mm256_castsi256_ps(_mm256_slli_epi32(lo, 16)),
            _mm256_castsi256_ps(_mm256_slli_epi32(hi, 16))};
#else
    std::uint16_t bits[kWide];
    float values[kWide];
    __builtin_memcpy(bits, p, sizeof(bits));
    for (int j = 0; j < kWide; ++j) values[j] = bf16_value(bits[j]);
    return load16(values);
#endif
  }
};

struct Q8Row {
  static inline F32x16 load(const std::byte* row, std::int64_t i) {
    const std::byte* block = row + i / 2 * 34;
    const std::byte* p = block + 2 + i % 2 * 16;
    std::uint16_t scale;
    __builtin_memcpy(&scale, block, sizeof(scale));
#if defined(__AVX512F__)
    const __m128i q = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
    const __m512 d = _mm512_cvtph_ps(_mm256_set1_epi16(static_cast<short>(scale)));
    return {_mm512_mul_ps(_mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(q)), d)};
#elif defined(__AVX2__)
    const __m128i q = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
    const __m256 d = _mm256_cvtph_ps(_mm_set1_epi16(static_cast<short>(scale)));
    const __m256i lo = _mm256_cvtepi8_epi32(q);
    const __m256i hi = _mm256_cvtepi8_epi32(_mm_srli_si128(q, 8));
    return {_mm256_mul_ps(_mm256_cvtepi32_ps(lo), d), _mm256_mul_ps(_mm256_cvtepi32_ps(hi), d)};
#else
    float values[kWide];
    const float d = f16_value(scale);
    for (int j = 0; j < kWide; ++j)
      values[j] = static_cast<float>(static_cast<std::int8_t>(p[j])) * d;
    return load16(values);
#endif
  }
};

// Sums of a tile that fit in the registers beside its operands; its rows and vectors at most.
#if defined(__AVX512F__)
static constexpr int kTileSums = 16;
static constexpr int kTileRows = 4;
static constexpr int kTileVectors = 8;
#else
static constexpr int kTileSums = 4;
static constexpr int kTileRows = 2;
static constexpr int kTileVectors = 4;
#endif

#if defined(__AVX512F__)

// A level of sum16's tree for two vectors at once: b's half of the lanes is taken in its place.
static inline __m512 add_halves(__m512 a, __m512 b) {  // lanes i and i + 8
  const __m512d from = _mm512_shuffle_f64x2(_mm512_castps_pd(a), _mm512_castps_pd(b), 0x4e);
  return _mm512_add_ps(_mm512_mask_mov_ps(a, 0xff00, b), _mm512_castpd_ps(from));
}
static inline __m512 add_quarters(__m512 a, __m512 b) {  // i and i + 4
  const __m512 other = _mm512_mask_mov_ps(b, 0xf0f0, a);
  const __m512 from = _mm512_shuffle_f32x4(other, other, 0xb1);
  return _mm512_add_ps(_mm512_mask_mov_ps(a, 0xf0f0, b), from);
}
static inline __m512 add_pairs(__m512 a, __m512 b) {  // i and i + 2
  const __m512d from = _mm512_shuffle_pd(_mm512_castps_pd(a), _mm512_castps_pd(b), 0x55);
  return _mm512_add_ps(_mm512_mask_mov_ps(a, 0xcccc, b), _mm512_castpd_ps(from));
}
static inline __m512 add_singles(__m512 a, __m512 b) {  // i and i + 1
  const __m512 from = _mm512_permute_ps(_mm512_mask_mov_ps(b, 0xaaaa, a), 0xb1);
  return _mm512_add_ps(_mm512_mask_mov_ps(a, 0xaaaa, b), from);
}

// Lane i: sum16(sums[i]).
static inline __m512 sum16_of_16(const F32x16* sums) {
  __m512 s[8];
  for (int i = 0; i < 8; ++i) s[i] = add_halves(sums[i].v, sums[i + 8].v);
  for (int i = 0; i < 4; ++i) s[i] = add_quarters(s[i], s[i + 4]);
  for (int i = 0; i < 2; ++i) s[i] = add_pairs(s[i], s[i + 2]);
  return add_singles(s[0], s[1]);
}

// scores[r][j] = sum of sums[r * keys + j] * scale.
template <int rows, int keys>
static inline void store_scores(const F32x16* sums, float scale, float* scores) {
  static_assert(rows * keys == 16);
  const __m512 all = _mm512_mul_ps(sum16_of_16(sums), _mm512_set1_ps(scale));
  if constexpr (rows == 1) {
    _mm512_storeu_ps(scores, all);
  } else if constexpr (rows == 2) {
    _mm256_storeu_ps(scores, _mm512_castps512_ps256(all));
    _mm256_storeu_ps(scores + kScoreStride, _mm512_extractf32x8_ps(all, 1));
  } else {
    static_assert(rows == 4);
    _mm_storeu_ps(scores, _mm512_castps512_ps128(all));
    _mm_storeu_ps(scores + kScoreStride, _mm512_extractf32x4_ps(all, 1));
    _mm_storeu_ps(scores + 2 * kScoreStride, _mm512_extractf32x4_ps(all, 2));
    _mm_storeu_ps(scores + 3 * kScoreStride, _mm512_extractf32x4_ps(all, 3));
  }
}

#elif defined(__AVX2__)

template <int rows, int keys>
static inline void store_scores(const F32x16* sums, float scale, float* scores) {
  static_assert(rows * keys == 4);
  __m256 s[4];  // lanes i and i + 8
  for (int i = 0; i < 4; ++i) s[i] = _mm256_add_ps(sums[i].lo, sums[i].hi);
  for (int i = 0; i < 2; ++i)  // i and i + 4
    s[i] = _mm256_add_ps(_mm256_blend_ps(s[i], s[i + 2], 0xf0),
                         _mm256_permute2f128_ps(s[i], s[i + 2], 0x21));
  const __m256 pairs = _mm256_add_ps(
      _mm256_blend_ps(s[0], s[1], 0xcc),  // i and i + 2
      _mm256_castpd_ps(_mm256_shuffle_pd(_mm256_castps_pd(s[0]), _mm256_castps_pd(s[1]), 0x5)));
  const __m256 all =
      _mm256_mul_ps(_mm256_add_ps(pairs, _mm256_permute_ps(pairs, 0xb1)), _mm256_set1_ps(scale));
  const __m256i even = _mm256_setr_epi32(0, 2, 4, 6, 0, 0, 0, 0);
  const __m128 four = _mm256_castps256_ps128(_mm256_permutevar8x32_ps(all, even));
  if constexpr (rows == 1) {
    _mm_storeu_ps(scores, four);
  } else {
    static_assert(rows == 2);
    _mm_storel_pi(reinterpret_cast<__m64*>(scores), four);
    _mm_storeh_pi(reinterpret_cast<__m64*>(scores + kScoreStride), four);
  }
}

#else

template <int rows, int keys>
static inline void store_scores(const F32x16* sums, float scale, float* scores) {
  for (int r = 0; r < rows; ++r)
    for (int j = 0; j < keys; ++j) scores[r * kScoreStride + j] = sum16(sums[r * keys + j]) * scale;
}

#endif

// Scores of `rows` query rows with kTileSums / rows keys, the last of which may be fewer: `left`
// are there, the others are copies of the last one. q (rows, stride), scores (rows, kScoreStride).
template <class Row, int rows>
static inline void score_tile(const float* q, std::int64_t stride, const std::byte* keys,
                              std::int64_t row_bytes, std::int64_t left, float scale,
                              float* scores) {
  constexpr int kKeys = kTileSums / rows;
  const std::byte* key[kKeys];
  key[0] = keys;
  for (int j = 1; j < kKeys; ++j) key[j] = key[j - 1] + (j < left ? row_bytes : 0);
  F32x16 sums[kTileSums];
  for (int i = 0; i < kTileSums; ++i) sums[i] = set16(0.0F);
  std::int64_t i = 0;
  do {  // a row has at least one vector: so the sums stay in registers
    F32x16 qi[rows];
    for (int r = 0; r < rows; ++r) qi[r] = load16(q + r * stride + 16 * i);
    for (int j = 0; j < kKeys; ++j) {
      const F32x16 k = Row::load(key[j], i);
      for (int r = 0; r < rows; ++r) sums[r * kKeys + j] = fma16(qi[r], k, sums[r * kKeys + j]);
    }
  } while (16 * ++i < stride);
  store_scores<rows, kKeys>(sums, scale, scores);
}

// acc[r][16 i ..] += sum over slots j of [0, slots), ascending, of p[r][j] * values[j], for
// `vectors` vectors from the i-th on. p (rows, kScoreStride), acc (rows, stride).
template <class Row, int rows, int vectors>
static inline void value_tile(const float* p, const std::byte* values, std::int64_t row_bytes,
                              std::int64_t slots, std::int64_t i, float* acc, std::int64_t stride) {
  F32x16 sums[rows][vectors];
  for (int r = 0; r < rows; ++r)
    for (int n = 0; n < vectors; ++n) sums[r][n] = load16(acc + r * stride + 16 * (i + n));
  for (std::int64_t j = 0; j < slots; ++j) {
    F32x16 v[vectors];
    for (int n = 0; n < vectors; ++n) v[n] = Row::load(values + j * row_bytes, i + n);
    for (int r = 0; r < rows; ++r) {
      const F32x16 weight = set16(p[r * kScoreStride + j]);
      for (int n = 0; n < vectors; ++n) sums[r][n] = fma16(weight, v[n], sums[r][n]);
    }
  }
  for (int r = 0; r < rows; ++r)
    for (int n = 0; n < vectors; ++n) store16(acc + r * stride + 16 * (i + n), sums[r][n]);
}

// The same from the i-th vector to the end of the row, in tiles of `vectors` and then of less.
template <class Row, int rows, int vectors>
static inline void value_rows(const float* p, const std::byte* values, std::int64_t row_bytes,
                              std::int64_t slots, std::int64_t i, float* acc, std::int64_t stride) {
  for (; 16 * (i + vectors) <= stride; i += vectors)
    value_tile<Row, rows, vectors>(p, values, row_bytes, slots, i, acc, stride);
  if constexpr (vectors > 1)
    if (16 * i < stride)
      value_rows<Row, rows, vectors / 2>(p, values, row_bytes, slots, i, acc, stride);
}

}  // namespace strata::cpu::STRATA_ISA
