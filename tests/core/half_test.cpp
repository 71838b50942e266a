#include "runtime/core/half.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <random>

namespace strata {
namespace {

/// The value of binary16 bits by its definition, in double.
double f16_value(std::uint16_t bits) {
  const int exponent = (bits >> 10) & 31;
  const int mantissa = bits & 1023;
  const double sign = bits & 0x8000 ? -1 : 1;
  if (exponent == 31)
    return mantissa ? std::nan("") : sign * std::numeric_limits<double>::infinity();
  if (exponent == 0) return sign * std::ldexp(mantissa, -24);
  return sign * std::ldexp(1024 + mantissa, exponent - 25);
}

TEST(Half, EveryF16IsExactAndComesBack) {
  for (std::uint32_t i = 0; i < 0x10000; ++i) {
    const auto bits = static_cast<std::uint16_t>(i);
    const float value = f16_to_f32(bits);
    if (std::isnan(f16_value(bits))) {
      EXPECT_TRUE(std::isnan(value));
      EXPECT_TRUE(std::isnan(f16_to_f32(f32_to_f16(value))));
      continue;
    }
    EXPECT_EQ(static_cast<double>(value), f16_value(bits)) << i;
    EXPECT_EQ(std::signbit(value), (bits & 0x8000) != 0) << i;
    EXPECT_EQ(f32_to_f16(value), bits);
  }
}

/// The nearest finite binary16, ties to the even one: found among the neighbours of a first guess.
bool is_nearest_f16(float f, std::uint16_t bits) {
  const double distance = std::abs(f16_value(bits) - static_cast<double>(f));
  const auto magnitude = static_cast<std::uint16_t>(bits & 0x7fff);
  for (int step : {-1, 1}) {
    const int neighbour = magnitude + step;
    if (neighbour < 0 || neighbour >= 0x7c00) continue;
    const auto other = static_cast<std::uint16_t>(neighbour | (bits & 0x8000));
    const double there = std::abs(f16_value(other) - static_cast<double>(f));
    if (there < distance || (there == distance && bits % 2 == 1)) return false;
  }
  return true;
}

TEST(Half, F16RoundsToNearestEven) {
  std::mt19937 random(1);
  std::uniform_real_distribution<float> exponent(-27, 15.9f);
  for (int i = 0; i < 100'000; ++i) {
    float value = std::exp2(exponent(random));
    if (i % 2) value = -value;
    // Every fourth lies exactly between two neighbours.
    if (i % 4 == 0) {
      const std::uint16_t low = f32_to_f16(value);
      value = 0.5f * (f16_to_f32(low) + f16_to_f32(static_cast<std::uint16_t>(low + 1)));
    }
    if (std::abs(value) >= 65504) continue;
    EXPECT_TRUE(is_nearest_f16(value, f32_to_f16(value))) << value;
  }
}

TEST(Half, F16Edges) {
  EXPECT_EQ(f32_to_f16(65504.0f), 0x7bff);
  EXPECT_EQ(f32_to_f16(65519.996f), 0x7bff);
  EXPECT_EQ(f32_to_f16(65520.0f), 0x7c00);
  EXPECT_EQ(f32_to_f16(-1e30f), 0xfc00);
  EXPECT_EQ(f32_to_f16(0x1p-25f), 0);  // a tie with zero
  EXPECT_EQ(f32_to_f16(std::nextafter(0x1p-25f, 1.0f)), 1);
  EXPECT_EQ(f32_to_f16(-0.0f), 0x8000);
  EXPECT_TRUE(std::isnan(f16_to_f32(f32_to_f16(std::nanf("")))));
}

TEST(Half, Bf16) {
  for (std::uint32_t i = 0; i < 0x10000; ++i) {
    const auto bits = static_cast<std::uint16_t>(i);
    const float value = bf16_to_f32(bits);
    if (std::isnan(value))
      EXPECT_TRUE(std::isnan(bf16_to_f32(f32_to_bf16(value))));
    else
      EXPECT_EQ(f32_to_bf16(value), bits);
  }
  EXPECT_EQ(bf16_to_f32(0x3f80), 1.0f);
  EXPECT_EQ(f32_to_bf16(1.0f + 0x1p-8f), 0x3f80);  // a tie, to the even one below
  EXPECT_EQ(f32_to_bf16(1.0f + 3 * 0x1p-8f), 0x3f82);
  EXPECT_EQ(f32_to_bf16(std::numeric_limits<float>::max()), 0x7f80);
  EXPECT_TRUE(std::isnan(bf16_to_f32(f32_to_bf16(std::bit_cast<float>(0x7f800001u)))));
}

}  // namespace
}  // namespace strata
