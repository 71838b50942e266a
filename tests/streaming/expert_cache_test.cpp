#include "runtime/streaming/expert_cache.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <list>
#include <numeric>
#include <random>
#include <set>
#include <utility>

namespace strata::test {
namespace {

using Ids = std::vector<std::int32_t>;

// The textbook's cache: a list, the most recent in front.
class ReferenceLru {
 public:
  explicit ReferenceLru(std::size_t slots) : slots_(slots) {}

  void use(std::pair<std::int32_t, std::int32_t> key) {
    const auto found = std::find(recent_.begin(), recent_.end(), key);
    if (found != recent_.end()) {
      ++counts.hits;
      recent_.erase(found);
    } else {
      ++counts.misses;
      if (recent_.size() == slots_) {
        ++counts.evictions;
        recent_.pop_back();
      }
    }
    recent_.push_front(key);
  }
  bool has(std::pair<std::int32_t, std::int32_t> key) const {
    return std::find(recent_.begin(), recent_.end(), key) != recent_.end();
  }

  ExpertCounts counts;

 private:
  std::size_t slots_;
  std::list<std::pair<std::int32_t, std::int32_t>> recent_;
};

void expect_counts(const ExpertCounts& got, const ExpertCounts& want) {
  EXPECT_EQ(got.hits, want.hits);
  EXPECT_EQ(got.misses, want.misses);
  EXPECT_EQ(got.evictions, want.evictions);
}

Ids some_experts(std::mt19937& random, std::int32_t experts, std::int32_t count) {
  Ids all(static_cast<std::size_t>(experts));
  std::iota(all.begin(), all.end(), 0);
  std::shuffle(all.begin(), all.end(), random);
  all.resize(static_cast<std::size_t>(count));
  std::sort(all.begin(), all.end());
  return all;
}

// Requests that fit, against the reference: what is here goes first, then the rest. Slots are those
// of the experts that were put there, which nobody else has.
TEST(ExpertCache, IsAnLruList) {
  constexpr std::int32_t kLayers = 3;
  constexpr std::int32_t kExperts = 16;
  std::mt19937 random(1);
  for (const std::int32_t slots : {4, 5, 9, 16, 30, 48}) {
    ExpertCache cache(kLayers, kExperts, slots);
    ReferenceLru reference(static_cast<std::size_t>(slots));
    std::vector<std::pair<std::int32_t, std::int32_t>> in_slot(static_cast<std::size_t>(slots),
                                                               {-1, -1});
    for (int step = 0; step < 600; ++step) {
      const std::int32_t layer = step % kLayers;
      const Ids wanted = some_experts(random, kExperts, 1 + step % 4);
      Ids got(wanted.size());
      for (const auto& miss : cache.request(layer, wanted, got))
        in_slot[static_cast<std::size_t>(miss.slot)] = {layer, miss.expert};
      Ids new_ones;
      for (const std::int32_t e : wanted)
        if (reference.has({layer, e}))
          reference.use({layer, e});
        else
          new_ones.push_back(e);
      for (const std::int32_t e : new_ones) reference.use({layer, e});
      for (std::size_t i = 0; i < wanted.size(); ++i)
        ASSERT_EQ(in_slot[static_cast<std::size_t>(got[i])], std::pair(layer, wanted[i]));
      ASSERT_EQ(std::set<std::int32_t>(got.begin(), got.end()).size(), got.size());
    }
    expect_counts(cache.counts(), reference.counts);
  }
}

// More experts than slots: each is served once, those that are here before any is brought.
TEST(ExpertCache, ServesMoreThanItHoldsInParts) {
  for (const std::int32_t slots : {1, 2, 3, 8}) {
    ExpertCache cache(1, 16, slots);
    Ids first(static_cast<std::size_t>(slots));
    std::iota(first.begin(), first.end(), 16 - slots);
    Ids got(first.size());
    cache.request(0, first, got);
    Ids left(16);
    std::iota(left.begin(), left.end(), 0);
    std::set<std::int32_t> served;
    Ids brought;
    while (!left.empty()) {
      got.assign(left.size(), -2);
      const auto misses = cache.request(0, left, got);
      for (const auto& miss : misses) brought.push_back(miss.expert);
      Ids rest;
      std::set<std::int32_t> together;
      for (std::size_t i = 0; i < left.size(); ++i) {
        if (got[i] < 0) {
          EXPECT_EQ(got[i], -1);
          rest.push_back(left[i]);
          continue;
        }
        EXPECT_TRUE(served.insert(left[i]).second);
        EXPECT_TRUE(together.insert(got[i]).second);
        EXPECT_LT(got[i], slots);
      }
      ASSERT_FALSE(together.empty());
      left = rest;
    }
    EXPECT_EQ(served.size(), 16u);
    EXPECT_EQ(brought.size(), 16u - static_cast<std::size_t>(slots));
    EXPECT_EQ(cache.counts().hits, static_cast<std::uint64_t>(slots));
  }
}

TEST(ExpertCache, ForgetsWhatCouldNotBeBrought) {
  ExpertCache cache(1, 8, 2);
  Ids got(2);
  cache.request(0, Ids{3, 5}, got);
  cache.forget(got[1]);
  const std::int32_t slot_of_3 = got[0];
  const auto misses = cache.request(0, Ids{3, 5}, got);
  ASSERT_EQ(misses.size(), 1u);
  EXPECT_EQ(misses[0].expert, 5);
  EXPECT_EQ(got[0], slot_of_3);
  EXPECT_EQ(cache.counts().evictions, 0u);  // the slot was empty
}

TEST(ExpertShare, GivesEveryLayerItsOwnWhereThereIsEnough) {
  const ExpertShare share = share_slots(5, 16, 4, 23);
  EXPECT_EQ(share.cache_of, (Ids{0, 1, 2, 3, 4}));
  EXPECT_EQ(share.slots, (Ids{4, 5, 4, 5, 5}));
  EXPECT_EQ(share_slots(3, 16, 4, 1000).slots, (Ids{16, 16, 16}));
}

TEST(ExpertShare, SharesTheLeastThatATokenNeeds) {
  // Two owners of 5 and 6 slots among eight layers, and 4 slots for the other six.
  const ExpertShare share = share_slots(8, 16, 4, 15);
  EXPECT_EQ(share.slots, (Ids{4, 5, 6}));
  EXPECT_EQ(share.cache_of, (Ids{0, 0, 0, 1, 0, 0, 0, 2}));
  EXPECT_EQ(share_slots(8, 16, 4, 7).slots, (Ids{7}));
  EXPECT_EQ(share_slots(8, 16, 4, 1).slots, (Ids{1}));
}

TEST(ExpertShare, NeverTakesMoreThanThereIs) {
  for (std::int32_t layers = 1; layers <= 9; ++layers) {
    for (std::int64_t slots = 1; slots <= 90; ++slots) {
      const ExpertShare share = share_slots(layers, 8, 3, slots);
      ASSERT_EQ(share.cache_of.size(), static_cast<std::size_t>(layers));
      std::int64_t sum = 0;
      for (const std::int32_t part : share.slots) {
        EXPECT_GE(part, std::min<std::int64_t>(slots, 3));
        EXPECT_LE(part, 8);
        sum += part;
      }
      EXPECT_LE(sum, slots);
      // All of it is used, but what a layer could not hold.
      const bool full = *std::max_element(share.slots.begin(), share.slots.end()) == 8;
      EXPECT_TRUE(full || sum == slots) << layers << " layers, " << slots << " slots";
    }
  }
}

}  // namespace
}  // namespace strata::test
