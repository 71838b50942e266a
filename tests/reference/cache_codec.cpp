#include "tests/reference/cache_codec.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>

namespace strata::reference {
namespace {

// A binary format with 16 bits.
struct Small {
  int mantissa_bits;
  int least_exponent;  // of a normal number
  int exponent_bits() const { return 15 - mantissa_bits; }
};
constexpr Small kHalf{10, -14};
constexpr Small kBrain{7, -126};

std::uint16_t encode(const Small& format, double x) {
  const unsigned sign = std::signbit(x) ? 0x8000u : 0u;
  const double magnitude = std::fabs(x);
  const unsigned infinity = ((1u << format.exponent_bits()) - 1u) << format.mantissa_bits;
  if (std::isnan(x)) return static_cast<std::uint16_t>(sign | infinity | 1u);
  if (magnitude == 0) return static_cast<std::uint16_t>(sign);
  const int exponent =
      std::isinf(x) ? 2000 : std::max(std::ilogb(magnitude), format.least_exponent);
  // Steps from zero: every exponent above the least adds 2^mantissa_bits of them.
  const double steps =
      std::isinf(x) ? 1e9
                    : std::nearbyint(std::ldexp(magnitude, format.mantissa_bits - exponent)) +
                          std::ldexp(exponent - format.least_exponent, format.mantissa_bits);
  return static_cast<std::uint16_t>(
      sign | static_cast<unsigned>(std::min(steps, static_cast<double>(infinity))));
}

double decode(const Small& format, std::uint16_t bits) {
  const int fraction = bits & ((1 << format.mantissa_bits) - 1);
  const int exponent = (bits & 0x7fff) >> format.mantissa_bits;
  double magnitude = 0;
  if (exponent == 0)
    magnitude = std::ldexp(fraction, format.least_exponent - format.mantissa_bits);
  else if (exponent == (1 << format.exponent_bits()) - 1)
    magnitude = fraction == 0 ? INFINITY : NAN;
  else
    magnitude = std::ldexp(fraction + (1 << format.mantissa_bits),
                           exponent - 1 + format.least_exponent - format.mantissa_bits);
  return (bits & 0x8000) != 0 ? -magnitude : magnitude;
}

void append(std::vector<std::byte>& bytes, const void* data, std::size_t count) {
  const auto* from = static_cast<const std::byte*>(data);
  bytes.insert(bytes.end(), from, from + count);
}

void encode_block(std::span<const float> x, std::vector<std::byte>& bytes) {
  float amax = 0;
  for (float v : x) amax = std::max(amax, std::fabs(v));
  const float scale = amax / 127.0F;
  const std::uint16_t stored = encode(kHalf, static_cast<double>(scale));
  append(bytes, &stored, 2);
  for (float v : x) {
    const float q = scale > 0 ? std::round(v * (1.0F / scale)) : 0.0F;
    bytes.push_back(static_cast<std::byte>(static_cast<int>(q)));
  }
}

}  // namespace

std::vector<std::byte> encode_row(DType dtype, std::span<const float> values) {
  std::vector<std::byte> bytes;
  if (dtype == DType::Q8_0)
    for (std::size_t i = 0; i < values.size(); i += 32) encode_block(values.subspan(i, 32), bytes);
  else if (dtype == DType::F32)
    append(bytes, values.data(), values.size_bytes());
  else
    for (float v : values) {
      const std::uint16_t small =
          encode(dtype == DType::F16 ? kHalf : kBrain, static_cast<double>(v));
      append(bytes, &small, 2);
    }
  return bytes;
}

std::vector<double> decode_row(DType dtype, std::span<const std::byte> bytes) {
  std::vector<double> values;
  std::uint16_t small = 0;
  const std::size_t step = dtype == DType::Q8_0 ? 34 : dtype == DType::F32 ? 4 : 2;
  for (std::size_t i = 0; i < bytes.size(); i += step) {
    std::memcpy(&small, &bytes[i], 2);
    if (dtype == DType::F32) {
      float value = 0;
      std::memcpy(&value, &bytes[i], 4);
      values.push_back(static_cast<double>(value));
    } else if (dtype == DType::Q8_0) {
      for (std::size_t j = 0; j < 32; ++j)
        values.push_back(decode(kHalf, small) * static_cast<std::int8_t>(bytes[i + 2 + j]));
    } else {
      values.push_back(decode(dtype == DType::F16 ? kHalf : kBrain, small));
    }
  }
  return values;
}

}  // namespace strata::reference
