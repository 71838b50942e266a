// What is kept of units that differ in size.
#include "runtime/streaming/residency_pack.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

namespace strata {
namespace {

using testing::ElementsAre;

using Sizes = std::vector<std::uint64_t>;

std::uint64_t kept_bytes(const Sizes& sizes, std::uint64_t room) {
  const std::vector<bool> kept = choose_units(sizes, room);
  std::uint64_t sum = 0;
  for (std::size_t i = 0; i < sizes.size(); ++i) sum += kept[i] ? sizes[i] : 0;
  return sum;
}

// Of all subsets.
std::uint64_t most_bytes(const Sizes& sizes, std::uint64_t room) {
  std::uint64_t most = 0;
  for (std::uint64_t set = 0; set < std::uint64_t{1} << sizes.size(); ++set) {
    std::uint64_t sum = 0;
    for (std::size_t i = 0; i < sizes.size(); ++i) sum += (set >> i & 1) != 0 ? sizes[i] : 0;
    if (sum <= room) most = std::max(most, sum);
  }
  return most;
}

TEST(ChooseUnits, KeepsAsManyBytesAsCanBe) {
  std::mt19937_64 random(4);
  for (int round = 0; round < 300; ++round) {
    SCOPED_TRACE(round);
    Sizes sizes(1 + random() % 10);
    const std::uint64_t step = round % 2 == 0 ? 1 : 4096;
    for (std::uint64_t& size : sizes) size = (1 + random() % 3000) * step;
    const std::uint64_t room = random() % (8000 * step);
    EXPECT_EQ(kept_bytes(sizes, room), most_bytes(sizes, room));
  }
}

TEST(ChooseUnits, MoreRoomNeverKeepsLess) {
  std::mt19937_64 random(5);
  for (int round = 0; round < 30; ++round) {
    Sizes sizes(20 + random() % 100);
    for (std::uint64_t& size : sizes) size = (1 + random() % 40) * 1'000'003 + random() % 100'000;
    std::uint64_t before = 0;
    for (std::uint64_t room = 0; room < 2'000'000'000; room += 1 + random() % 100'000'000) {
      const std::uint64_t now = kept_bytes(sizes, room);
      EXPECT_LE(now, room);
      // They have no common measure.
      EXPECT_GE(static_cast<double>(now), 0.9999 * static_cast<double>(before));
      before = now;
    }
  }
}

TEST(ChooseUnits, SpreadsThoseOfEachSize) {
  EXPECT_THAT(choose_units(Sizes(6, 10), 39), ElementsAre(false, true, false, true, false, true));
  // Of four large ones and four small ones two and four fill it.
  EXPECT_THAT(choose_units(Sizes{50, 50, 50, 50, 7, 7, 7, 7}, 128),
              ElementsAre(false, true, false, true, true, true, true, true));
  EXPECT_THAT(choose_units(Sizes{5, 6}, 11), ElementsAre(true, true));
  EXPECT_THAT(choose_units(Sizes{5, 6}, 4), ElementsAre(false, false));
  EXPECT_TRUE(choose_units(Sizes{}, 4).empty());
}

}  // namespace
}  // namespace strata
