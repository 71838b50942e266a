#include "runtime/text/random.h"

#include <gtest/gtest.h>

#include <set>

namespace strata::text {
namespace {

using Block = std::array<std::uint32_t, 4>;

// The known answers that the authors of Philox publish with their library.
TEST(Philox, KnownAnswers) {
  EXPECT_EQ(philox4x32({0, 0, 0, 0}, {0, 0}),
            (Block{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  constexpr std::uint32_t ones = 0xffffffffu;
  EXPECT_EQ(philox4x32({ones, ones, ones, ones}, {ones, ones}),
            (Block{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
  EXPECT_EQ(philox4x32({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0}),
            (Block{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

TEST(UniformAt, EveryArgumentBitCounts) {
  std::set<double> seen = {uniform_at(0, 0, 0)};
  for (int bit = 0; bit < 64; ++bit) {
    const std::uint64_t one = std::uint64_t{1} << bit;
    seen.insert(uniform_at(one, 0, 0));
    seen.insert(uniform_at(0, one, 0));
    seen.insert(uniform_at(0, 0, one));
  }
  EXPECT_EQ(seen.size(), 1u + 3 * 64);
}

TEST(UniformAt, StaysInRangeAndFillsItEvenly) {
  constexpr int kDraws = 20000;
  int bucket[10] = {};
  double sum = 0;
  for (int i = 0; i < kDraws; ++i) {
    const double u = uniform_at(42, 7, static_cast<std::uint64_t>(i));
    ASSERT_GE(u, 0.0);
    ASSERT_LT(u, 1.0);
    ++bucket[static_cast<int>(u * 10)];
    sum += u;
  }
  // Five standard deviations: of a mean 1/sqrt(12 n), of a bucket sqrt(n 0.1 0.9).
  EXPECT_NEAR(sum / kDraws, 0.5, 5 * 0.00204);
  for (int count : bucket) EXPECT_NEAR(count, kDraws / 10, 5 * 42.4);
}

}  // namespace
}  // namespace strata::text
