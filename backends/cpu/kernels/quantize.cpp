#include "backends/cpu/kernels/panels.h"

namespace strata::cpu::STRATA_ISA {

// Blocks whose largest value is below 2^-120 count as zero: 127 / amax stays finite.
static constexpr std::uint32_t kTinyBits = 0x03800000u;
static constexpr std::uint32_t kInfinityBits = 0x7f800000u;

// How many steps amax is: 127, 126, ... or 120, the one whose rounding loses least. Wider steps
// cost little and may fit the other values better: 8 tries take about a tenth off the error that
// quantized activations put into the logits of an 8-bit model.
static constexpr int kTries = 8;

#if defined(__AVX2__)

static inline F32x16 lost16(F32x16 a) {
#if defined(__AVX512F__)
  return {_mm512_reduce_ps(a.v, 0)};
#else
  const int nearest = _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC;
  return sub16(a, {_mm256_round_ps(a.lo, nearest), _mm256_round_ps(a.hi, nearest)});
#endif
}

// The first step of sum16.
static inline __m256 fold16(F32x16 a) {
#if defined(__AVX512F__)
  return _mm256_add_ps(__builtin_shufflevector(a.v, a.v, 0, 1, 2, 3, 4, 5, 6, 7),
                       __builtin_shufflevector(a.v, a.v, 8, 9, 10, 11, 12, 13, 14, 15));
#else
  return _mm256_add_ps(a.lo, a.hi);
#endif
}

// The second and third, of four at once: lanes 0, 1 of s[0], of s[2]; of s[1], of s[3].
static inline __m256 fold_four(const __m256* s) {
  const __m256 a = _mm256_add_ps(_mm256_permute2f128_ps(s[0], s[1], 0x20),
                                 _mm256_permute2f128_ps(s[0], s[1], 0x31));
  const __m256 b = _mm256_add_ps(_mm256_permute2f128_ps(s[2], s[3], 0x20),
                                 _mm256_permute2f128_ps(s[2], s[3], 0x31));
  return _mm256_add_ps(_mm256_shuffle_ps(a, b, 0x44), _mm256_shuffle_ps(a, b, 0xee));
}

// All tries side by side; the sums are those of sum16.
static inline float best_steps(const float* x, float amax) {
  const F32x16 low = load16(x);
  const F32x16 high = load16(x + kWide);
  // In the order that the sums come out in: 0, 2, 4, 6, 1, 3, 5, 7.
  const __m256 steps = _mm256_setr_ps(127, 125, 123, 121, 126, 124, 122, 120);
  float inverse[kTries];
  _mm256_storeu_ps(inverse, _mm256_div_ps(steps, _mm256_set1_ps(amax)));
  __m256 folded[kTries];
#pragma GCC unroll 8
  for (int i = 0; i < kTries; ++i) {
    const F32x16 scale = set16(inverse[i % 2 * 4 + i / 2]);
    const F32x16 a = lost16(mul16(low, scale));
    const F32x16 b = lost16(mul16(high, scale));
    folded[i] = fold16(add16(mul16(a, a), mul16(b, b)));
  }
  const __m256 c = fold_four(folded);
  const __m256 d = fold_four(folded + 4);
  const __m256 sums = _mm256_add_ps(_mm256_shuffle_ps(c, d, 0x88), _mm256_shuffle_ps(c, d, 0xdd));
  const __m256 loss = _mm256_div_ps(sums, _mm256_mul_ps(steps, steps));
  __m256 least = _mm256_min_ps(loss, _mm256_permute2f128_ps(loss, loss, 1));
  least = _mm256_min_ps(least, _mm256_shuffle_ps(least, least, 0x4e));
  least = _mm256_min_ps(least, _mm256_shuffle_ps(least, least, 0xb1));
  // The most steps of those that lose as little.
  const __m256 best = _mm256_and_ps(steps, _mm256_cmp_ps(loss, least, _CMP_EQ_OQ));
  __m128 most = _mm_max_ps(_mm256_castps256_ps128(best), _mm256_extractf128_ps(best, 1));
  most = _mm_max_ps(most, _mm_movehl_ps(most, most));
  return _mm_cvtss_f32(_mm_max_ss(most, _mm_shuffle_ps(most, most, 1)));
}

// 32 values times inverse, to nearest, and the sums of the first and the last 16.
static inline void round_block(const float* x, float inverse, std::int8_t* values,
                               std::int32_t* sum) {
  const __m256 scale = _mm256_set1_ps(inverse);
  __m256i q[4];
#pragma GCC unroll 4
  for (int i = 0; i < 4; ++i)
    q[i] = _mm256_cvtps_epi32(_mm256_mul_ps(_mm256_loadu_ps(x + 8 * i), scale));
  const __m256i mixed =
      _mm256_packs_epi16(_mm256_packs_epi32(q[0], q[1]), _mm256_packs_epi32(q[2], q[3]));
  const __m256i bytes =
      _mm256_permutevar8x32_epi32(mixed, _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7));
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(values), bytes);
  const __m256i pairs = _mm256_maddubs_epi16(_mm256_set1_epi8(1), bytes);
  __m256i fours = _mm256_madd_epi16(pairs, _mm256_set1_epi16(1));
  fours = _mm256_add_epi32(fours, _mm256_shuffle_epi32(fours, 0x4e));
  fours = _mm256_add_epi32(fours, _mm256_shuffle_epi32(fours, 0xb1));
  sum[0] = _mm256_cvtsi256_si32(fours);
  sum[1] = _mm_cvtsi128_si32(_mm256_extracti128_si256(fours, 1));
}

// Largest magnitude as bits; as whole numbers they order like the floats, with NaN above all.
static inline std::uint32_t largest_bits(const float* x) {
  const __m256i magnitude = _mm256_set1_epi32(0x7fffffff);
  __m256i most = _mm256_setzero_si256();
#pragma GCC unroll 4
  for (int i = 0; i < 4; ++i)
    most = _mm256_max_epu32(
        most, _mm256_and_si256(_mm256_castps_si256(_mm256_loadu_ps(x + 8 * i)), magnitude));
  __m128i four = _mm_max_epu32(_mm256_castsi256_si128(most), _mm256_extracti128_si256(most, 1));
  four = _mm_max_epu32(four, _mm_shuffle_epi32(four, 0x4e));
  four = _mm_max_epu32(four, _mm_shuffle_epi32(four, 0xb1));
  return static_cast<std::uint32_t>(_mm_cvtsi128_si32(four));
}

#else

// Largest magnitude as bits; as whole numbers they order like the floats, with NaN above all.
static inline std::uint32_t largest_bits(const float* x) {
  std::uint32_t largest = 0;
  for (int i = 0; i < kBlock; ++i) {
    const std::uint32_t magnitude = bits_of(x[i]) & 0x7fffffffu;
    largest = magnitude > largest ? magnitude : largest;
  }
  return largest;
}

// Adding and subtracting 1.5 * 2^23 rounds to a whole number, ties to even.
static constexpr float kRounder = 12582912.0F;
static constexpr std::uint32_t kRounderBits = 0x4b400000u;

// Squares of what rounding x * inverse loses, in steps, over a block.
static inline float rounding_loss(F32x16 low, F32x16 high, float inverse) {
  const F32x16 rounder = set16(kRounder);
  const F32x16 a = mul16(low, set16(inverse));
  const F32x16 b = mul16(high, set16(inverse));
  const F32x16 lost_a = sub16(a, sub16(add16(a, rounder), rounder));
  const F32x16 lost_b = sub16(b, sub16(add16(b, rounder), rounder));
  return sum16(add16(mul16(lost_a, lost_a), mul16(lost_b, lost_b)));
}

static inline float best_steps(const float* x, float amax) {
  const F32x16 low = load16(x);
  const F32x16 high = load16(x + kWide);
  float best = 127.0F;
  float least = 0.0F;
  for (int i = 0; i < kTries; ++i) {
    const float steps = 127.0F - static_cast<float>(i);
    const float loss = rounding_loss(low, high, steps / amax) / (steps * steps);
    if (i > 0 && loss >= least) continue;
    best = steps;
    least = loss;
  }
  return best;
}

static inline void round_block(const float* x, float inverse, std::int8_t* values,
                               std::int32_t* sum) {
  sum[0] = sum[1] = 0;
  for (int i = 0; i < kBlock; ++i) {
    const auto q = static_cast<std::int32_t>(bits_of(x[i] * inverse + kRounder) - kRounderBits);
    values[i] = static_cast<std::int8_t>(q);
    sum[i / 16] += q;
  }
}

#endif

// To bf16: to nearest even; NaN stays NaN. By whole numbers, so that every instruction set rounds
// alike: the instruction for it takes values below 2^-126 for zero.
static inline std::uint32_t bf16_bits(std::uint32_t bits) {
  const std::uint32_t rounded = (bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16;
  return (bits & 0x7fffffffu) > kInfinityBits ? (bits >> 16) | 0x40u : rounded;
}

// One row of f32 values to bf16.
void round_row(const float* x, std::int64_t columns, std::byte* out) {
  typedef std::uint32_t U32x16 __attribute__((vector_size(64)));
  typedef std::uint16_t U16x16 __attribute__((vector_size(32)));
  std::int64_t i = 0;
  for (; i + kWide <= columns; i += kWide) {
    U32x16 bits;
    __builtin_memcpy(&bits, x + i, sizeof(bits));
    const U32x16 rounded = (bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16;
    const U32x16 nan = (bits >> 16) | 0x40u;
    const U32x16 kept = (bits & 0x7fffffffu) > kInfinityBits ? nan : rounded;
    const U16x16 stored = __builtin_convertvector(kept, U16x16);
    __builtin_memcpy(out + 2 * i, &stored, sizeof(stored));
  }
  for (; i < columns; ++i) {
    const auto stored = static_cast<std::uint16_t>(bf16_bits(bits_of(x[i])));
    __builtin_memcpy(out + 2 * i, &stored, sizeof(stored));
  }
}

// Blocks that are quantized step by step together: the steps of one block wait for each other.
static constexpr int kTogether = 16;

static inline bool is_poisoned(std::uint32_t largest) { return largest >= kInfinityBits; }
static inline bool is_tiny(std::uint32_t largest) { return largest < kTinyBits; }

// One row of `columns` f32 values to Layout::quantized: scale amax / 127 or a little
// more, values to nearest, ties to even. A block with an infinity or NaN gets a NaN scale, so that
// what is computed from it is NaN instead of plausible.
void quantize_row(const float* x, std::int64_t columns, std::byte* out) {
  const std::int64_t blocks = columns / kBlock;
  auto* values = reinterpret_cast<std::int8_t*>(out);
  auto* scales = reinterpret_cast<float*>(out + columns);
  auto* sums = reinterpret_cast<std::int32_t*>(out + columns + 4 * blocks);
  auto* halves = sums + blocks;
  for (std::int64_t first = 0; first < blocks; first += kTogether) {
    const std::int64_t left = blocks - first;
    const int count = left < kTogether ? static_cast<int>(left) : kTogether;
    std::uint32_t largest[kTogether];
    float steps[kTogether];
    for (int b = 0; b < count; ++b) largest[b] = largest_bits(x + b * kBlock);
    for (int b = 0; b < count; ++b) steps[b] = best_steps(x + b * kBlock, float_of(largest[b]));
    for (int i = 0; i < count; ++i, x += kBlock, values += kBlock) {
      const std::int64_t b = first + i;
      if (is_poisoned(largest[i]) || is_tiny(largest[i])) {
        __builtin_memset(values, 0, kBlock);
        scales[b] = is_tiny(largest[i]) ? 0.0F : float_of(0x7fc00000u);
        sums[b] = halves[2 * b] = halves[2 * b + 1] = 0;
        continue;
      }
      const float amax = float_of(largest[i]);
      std::int32_t sum[2];
      round_block(x, steps[i] / amax, values, sum);
      scales[b] = amax / steps[i];
      sums[b] = -128 * (sum[0] + sum[1]);
      halves[2 * b] = -128 * sum[0];
      halves[2 * b + 1] = -128 * sum[1];
    }
  }
}

}  // namespace strata::cpu::STRATA_ISA
