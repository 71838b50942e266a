#include "runtime/graph/arena.h"

#include <gtest/gtest.h>

#include <random>

namespace strata::test {
namespace {

bool alive_together(const ArenaRequest& a, const ArenaRequest& b) {
  return a.first <= b.last && b.first <= a.last;
}

// Checks by sets of bytes, the slow and obvious way.
void expect_valid(const std::vector<ArenaRequest>& requests, std::size_t total) {
  std::size_t sum = 0;
  for (std::size_t i = 0; i < requests.size(); ++i) {
    const ArenaRequest& a = requests[i];
    ASSERT_EQ(a.offset % kArenaAlign, 0u);
    ASSERT_LE(a.offset + a.bytes, total);
    sum += (a.bytes + kArenaAlign - 1) / kArenaAlign * kArenaAlign;
    for (std::size_t j = 0; j < i; ++j) {
      const ArenaRequest& b = requests[j];
      if (!alive_together(a, b) || a.bytes == 0 || b.bytes == 0) continue;
      ASSERT_TRUE(a.offset + a.bytes <= b.offset || b.offset + b.bytes <= a.offset)
          << "requests " << j << " and " << i << " overlap";
    }
  }
  ASSERT_LE(total, sum);
}

TEST(Arena, RandomRequestsNeverOverlapWhileAlive) {
  std::mt19937 random(20260101);
  for (int round = 0; round < 300; ++round) {
    std::vector<ArenaRequest> requests(1 + random() % 40);
    for (ArenaRequest& request : requests) {
      request.bytes = random() % 7 == 0 ? 0 : random() % 5000;
      request.first = static_cast<std::int32_t>(random() % 30);
      request.last = request.first + static_cast<std::int32_t>(random() % 10);
    }
    const std::size_t total = layout_arena(requests);
    expect_valid(requests, total);
    if (HasFatalFailure()) return;
  }
}

TEST(Arena, DeadMemoryIsUsedAgain) {
  std::vector<ArenaRequest> requests = {{1000, 0, 1, 0}, {1000, 2, 3, 0}, {500, 1, 2, 0}};
  EXPECT_EQ(layout_arena(requests), 1024u + 512u);
  EXPECT_EQ(requests[0].offset, requests[1].offset);
}

TEST(Arena, NothingNeedsNothing) {
  std::vector<ArenaRequest> none;
  EXPECT_EQ(layout_arena(none), 0u);
}

}  // namespace
}  // namespace strata::test
