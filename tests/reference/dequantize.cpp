#include "tests/reference/dequantize.h"

#include <bit>
#include <cmath>
#include <limits>

namespace strata::reference {
namespace {

// A block as numbers: little-endian fields and single bits at byte offsets.
struct Block {
  const std::byte* data;

  unsigned u8(std::int64_t at) const { return std::to_integer<unsigned>(data[at]); }
  int s8(std::int64_t at) const {
    const int value = static_cast<int>(u8(at));
    return value < 128 ? value : value - 256;
  }
  unsigned u16(std::int64_t at) const { return u8(at) + 256 * u8(at + 1); }
  double half(std::int64_t at) const { return half_value(static_cast<std::uint16_t>(u16(at))); }
  /// `count` bits from bit `bit` of the byte at `at`.
  int bits(std::int64_t at, std::int64_t bit, int count) const {
    return static_cast<int>((u8(at) >> bit) % (1u << count));
  }
  /// Nibble of element i of 32 whose 16 bytes begin at `at`.
  int nibble(std::int64_t at, std::int64_t i) const { return bits(at + i % 16, i / 16 * 4, 4); }
};

Element product(double scale, double quant) { return {scale * quant, std::abs(scale * quant)}; }

Element with_minimum(double scale, double quant, double minimum) {
  return {scale * quant + minimum, std::abs(scale * quant) + std::abs(minimum)};
}

double iq4_value(int index) {
  const double values[] = {-127, -104, -83, -65, -49, -35, -22, -10,
                           1,    13,   25,  38,  53,  69,  89,  113};
  return values[index];
}

// Sign, two exponent bits (bias 1), one mantissa bit.
double e2m1_value(int bits) {
  const int exponent = bits / 2 % 4;
  const double fraction = bits % 2 * 0.5;
  const double magnitude = exponent == 0 ? fraction : std::ldexp(1 + fraction, exponent - 1);
  return bits >= 8 ? -magnitude : magnitude;
}

// Bit i of the little-endian 32-bit word at `at`.
int word_bit(Block b, std::int64_t at, std::int64_t i) { return b.bits(at + i / 8, i % 8, 1); }

Element q2_k(Block b, std::int64_t i) {
  const std::int64_t quarter = i % 128 / 32;  // of a half; two bits of each of 32 bytes
  const int quant = b.bits(16 + i / 128 * 32 + i % 32, 2 * quarter, 2);
  return with_minimum(b.half(80) * b.bits(i / 16, 0, 4), quant, -b.half(82) * b.bits(i / 16, 4, 4));
}

Element q3_k(Block b, std::int64_t i) {
  const std::int64_t group = i / 16;
  const int low = b.bits(96 + group % 8, group / 8 * 4, 4);
  const int high = b.bits(104 + group % 4, group / 4 * 2, 2);
  const int quant = b.bits(32 + i / 128 * 32 + i % 32, i % 128 / 32 * 2, 2);
  const int third = b.bits(i % 32, i / 32, 1);
  return product(b.half(108) * (low + 16 * high - 32), quant + 4 * third - 4);
}

// Scale and minimum of group g, six bits each, from the 12 bytes at offset 4 (Q4_K, Q5_K): the
// first four of each whole, the others with their two high bits above those of the first.
int k_scale(Block b, std::int64_t g) {
  return g < 4 ? b.bits(4 + g, 0, 6) : b.bits(8 + g, 0, 4) + 16 * b.bits(g, 6, 2);
}
int k_minimum(Block b, std::int64_t g) {
  return g < 4 ? b.bits(8 + g, 0, 6) : b.bits(8 + g, 4, 4) + 16 * b.bits(4 + g, 6, 2);
}

Element q4_k(Block b, std::int64_t i) {
  const std::int64_t g = i / 32;
  const int quant = b.bits(16 + g / 2 * 32 + i % 32, g % 2 * 4, 4);
  return with_minimum(b.half(0) * k_scale(b, g), quant, -b.half(2) * k_minimum(b, g));
}

Element q5_k(Block b, std::int64_t i) {
  const std::int64_t g = i / 32;
  const int quant = b.bits(48 + g / 2 * 32 + i % 32, g % 2 * 4, 4) + 16 * b.bits(16 + i % 32, g, 1);
  return with_minimum(b.half(0) * k_scale(b, g), quant, -b.half(2) * k_minimum(b, g));
}

Element q6_k(Block b, std::int64_t i) {
  const std::int64_t half = i / 128;
  const std::int64_t in_half = i % 128;
  const int low = b.bits(half * 64 + in_half % 64, in_half / 64 * 4, 4);
  const int high = b.bits(128 + half * 32 + in_half % 32, in_half / 32 * 2, 2);
  return product(b.half(208) * b.s8(192 + i / 16), low + 16 * high - 32);
}

Element iq4_xs(Block b, std::int64_t i) {
  const std::int64_t g = i / 32;
  const int scale = b.bits(4 + g / 2, g % 2 * 4, 4) + 16 * b.bits(2 + g / 4, g % 4 * 2, 2);
  return product(b.half(0) * (scale - 32), iq4_value(b.nibble(8 + 16 * g, i % 32)));
}

Element element_of_block(DType dtype, Block b, std::int64_t i) {
  switch (dtype) {
    case DType::F32: {
      const std::uint32_t bits = b.u16(0) + 65536u * b.u16(2);
      return product(1, std::bit_cast<float>(bits));
    }
    case DType::F16:
      return product(1, b.half(0));
    case DType::BF16:
      return product(1, std::bit_cast<float>(65536u * b.u16(0)));
    case DType::Q4_0:
      return product(b.half(0), b.nibble(2, i) - 8);
    case DType::Q4_1:
      return with_minimum(b.half(0), b.nibble(4, i), b.half(2));
    case DType::Q5_0:
      return product(b.half(0), b.nibble(6, i) + 16 * word_bit(b, 2, i) - 16);
    case DType::Q5_1:
      return with_minimum(b.half(0), b.nibble(8, i) + 16 * word_bit(b, 4, i), b.half(2));
    case DType::Q8_0:
      return product(b.half(0), b.s8(2 + i));
    case DType::IQ4_NL:
      return product(b.half(0), iq4_value(b.nibble(2, i)));
    case DType::MXFP4:
      return product(std::ldexp(1.0, static_cast<int>(b.u8(0)) - 127), e2m1_value(b.nibble(1, i)));
    case DType::Q2_K:
      return q2_k(b, i);
    case DType::Q3_K:
      return q3_k(b, i);
    case DType::Q4_K:
      return q4_k(b, i);
    case DType::Q5_K:
      return q5_k(b, i);
    case DType::Q6_K:
      return q6_k(b, i);
    case DType::IQ4_XS:
      return iq4_xs(b, i);
    case DType::I8:
      return product(1, b.s8(0));
    case DType::I32:
      break;
  }
  return {std::numeric_limits<double>::quiet_NaN(), 0};
}

}  // namespace

double half_value(std::uint16_t bits) {
  const int exponent = bits / 1024 % 32;
  const double fraction = bits % 1024 / 1024.0;
  double magnitude = 0;
  if (exponent == 31)
    magnitude = fraction == 0 ? std::numeric_limits<double>::infinity()
                              : std::numeric_limits<double>::quiet_NaN();
  else
    magnitude = exponent == 0 ? std::ldexp(fraction, -14) : std::ldexp(1 + fraction, exponent - 15);
  return bits >= 0x8000 ? -magnitude : magnitude;
}

Element element(DType dtype, const std::byte* row, std::int64_t column) {
  const DTypeInfo& info = dtype_info(dtype);
  const std::int64_t block = column / info.block_elements;
  return element_of_block(dtype, {row + block * static_cast<std::int64_t>(info.block_bytes)},
                          column % info.block_elements);
}

std::vector<Element> row_elements(DType dtype, const std::byte* row, std::int64_t columns) {
  std::vector<Element> elements;
  elements.reserve(static_cast<std::size_t>(columns));
  for (std::int64_t c = 0; c < columns; ++c) elements.push_back(element(dtype, row, c));
  return elements;
}

}  // namespace strata::reference
