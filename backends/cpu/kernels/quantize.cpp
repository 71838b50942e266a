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

// One row of `columns` f32 values to Layout::quantized. scale = amax / 127 and values are rounded
// to nearest, ties to even. A block with an infinity or NaN gets a NaN scale, so that what is
// computed from it is NaN instead of plausible.
void quantize_row(const float* x, std::int64_t columns, std::byte* out) {
  const std::int64_t blocks = columns / kBlock;
  auto* values = reinterpret_cast<std::int8_t*>(out);
  auto* scales = reinterpret_cast<float*>(out + columns);
  auto* sums = reinterpret_cast<std::int32_t*>(out + columns + 4 * blocks);
  for (std::int64_t b = 0; b < blocks; ++b, x += kBlock, values += kBlock) {
    const std::uint32_t largest = largest_bits(x);
    const bool finite = largest < kInfinityBits;
    const bool usable = finite && largest >= kTinyBits;
    const float amax = float_of(largest);
    const float inverse = usable ? 127.0F / amax : 0.0F;
    std::int32_t sum = 0;
    for (int i = 0; i < kBlock; ++i) {
      // Adding 1.5 * 2^23 leaves the rounded whole number in the low bits.
      const std::uint32_t rounded = bits_of((usable ? x[i] : 0.0F) * inverse + 12582912.0F);
      const auto q = static_cast<std::int32_t>(rounded - 0x4b400000u);
      values[i] = static_cast<std::int8_t>(q);
      sum += q;
    }
    scales[b] = usable ? amax / 127.0F : finite ? 0.0F : float_of(0x7fc00000u);
    sums[b] = sum;
  }
}

}  // namespace strata::cpu::STRATA_ISA
