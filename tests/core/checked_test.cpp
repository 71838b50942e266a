#include "runtime/core/checked.h"

#include <gtest/gtest.h>

#include <iterator>
#include <random>

namespace strata {
namespace {

constexpr std::uint64_t kMax = ~std::uint64_t{0};
using Wide = unsigned __int128;

/// What `exact` is in 64 bits, if it fits.
std::optional<std::uint64_t> narrow(Wide exact) {
  if (exact > kMax) return std::nullopt;
  return static_cast<std::uint64_t>(exact);
}

TEST(Checked, AgreesWithWideArithmetic) {
  const std::uint64_t edges[] = {
      0,        1,   2, 3, 31, 32, 0xffffffff, std::uint64_t{1} << 32, std::uint64_t{1} << 63,
      kMax - 1, kMax};
  std::mt19937_64 random(1);
  for (int round = 0; round < 20'000; ++round) {
    const std::uint64_t a =
        round % 2 ? random() >> (random() % 64) : edges[random() % std::size(edges)];
    const std::uint64_t b =
        round % 3 ? random() >> (random() % 64) : edges[random() % std::size(edges)];
    EXPECT_EQ((Checked(a) + Checked(b)).value(), narrow(Wide{a} + b)) << a << " + " << b;
    EXPECT_EQ((Checked(a) * Checked(b)).value(), narrow(Wide{a} * b)) << a << " * " << b;
    EXPECT_EQ((Checked(a) - Checked(b)).value(), a >= b ? narrow(a - b) : std::nullopt);
    EXPECT_EQ((Checked(a) + b).value(), (Checked(a) + Checked(b)).value());
    EXPECT_EQ((Checked(a) * b).value(), (Checked(a) * Checked(b)).value());
    EXPECT_EQ((Checked(a) - b).value(), (Checked(a) - Checked(b)).value());
  }
}

TEST(Checked, StaysInvalid) {
  const Checked wrapped = Checked(kMax) + 1;
  EXPECT_FALSE(wrapped.valid());
  EXPECT_FALSE((wrapped - 1).valid());
  EXPECT_FALSE((wrapped * 0).valid());
  EXPECT_FALSE((Checked(1) + wrapped).valid());
  EXPECT_FALSE(wrapped.at_most(kMax));
  EXPECT_FALSE(wrapped.aligned_to(32).valid());
  EXPECT_FALSE(wrapped.divided_exactly_by(1).valid());
  EXPECT_FALSE(Checked().valid());
}

TEST(Checked, DivisionAndAlignment) {
  EXPECT_EQ(Checked(96).divided_exactly_by(32).value(), 3u);
  EXPECT_FALSE(Checked(97).divided_exactly_by(32).valid());
  EXPECT_FALSE(Checked(97).divided_exactly_by(0).valid());
  EXPECT_EQ(Checked(0).aligned_to(32).value(), 0u);
  EXPECT_EQ(Checked(33).aligned_to(32).value(), 64u);
  EXPECT_EQ(Checked(64).aligned_to(32).value(), 64u);
  EXPECT_FALSE(Checked(kMax - 3).aligned_to(32).valid());
  EXPECT_TRUE(Checked(5).at_most(5));
  EXPECT_FALSE(Checked(6).at_most(5));
}

// The results are wanted where the compiler computes them too.
static_assert((Checked(6) * 7).value() == 42);
static_assert(!(Checked(kMax) * 2).valid());

}  // namespace
}  // namespace strata
