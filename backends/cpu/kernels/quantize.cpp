#include "backends/cpu/kernels/panels.h"

namespace strata::cpu::STRATA_ISA {

// Blocks whose largest value is below 2^-120 count as zero: 127 / amax stays finite.
static constexpr std::uint32_t kTinyBits = 0x03800000u;
static constexpr std::uint32_t kInfinityBits = 0x7f800000u;

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

// How many steps amax is: 127, 126, ... or 120, the one whose rounding loses least. Wider steps
// cost little and may fit the other values better: 8 tries take about a tenth off the error that
// quantized activations put into the logits of an 8-bit model.
static constexpr int kTries = 8;
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

// One row of `columns` f32 values to Layout::quantized: scale amax / 127 or a little
// more, values to nearest, ties to even. A block with an infinity or NaN gets a NaN scale, so that
// what is computed from it is NaN instead of plausible.
void quantize_row(const float* x, std::int64_t columns, std::byte* out) {
  const std::int64_t blocks = columns / kBlock;
  auto* values = reinterpret_cast<std::int8_t*>(out);
  auto* scales = reinterpret_cast<float*>(out + columns);
  auto* sums = reinterpret_cast<std::int32_t*>(out + columns + 4 * blocks);
  auto* halves = sums + blocks;
  for (std::int64_t b = 0; b < blocks; ++b, x += kBlock, values += kBlock) {
    const std::uint32_t largest = largest_bits(x);
    if (largest >= kInfinityBits || largest < kTinyBits) {
      __builtin_memset(values, 0, kBlock);
      scales[b] = largest < kTinyBits ? 0.0F : float_of(0x7fc00000u);
      sums[b] = halves[2 * b] = halves[2 * b + 1] = 0;
      continue;
    }
    const float amax = float_of(largest);
    const float steps = best_steps(x, amax);
    const float inverse = steps / amax;
    std::int32_t sum[2] = {0, 0};
    for (int i = 0; i < kBlock; ++i) {
      const auto q = static_cast<std::int32_t>(bits_of(x[i] * inverse + kRounder) - kRounderBits);
      values[i] = static_cast<std::int8_t>(q);
      sum[i / 16] += q;
    }
    scales[b] = amax / steps;
    sums[b] = -128 * (sum[0] + sum[1]);
    halves[2 * b] = -128 * sum[0];
    halves[2 * b + 1] = -128 * sum[1];
  }
}

}  // namespace strata::cpu::STRATA_ISA
