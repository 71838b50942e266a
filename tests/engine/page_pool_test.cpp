#include "runtime/engine/page_pool.h"

#include <gtest/gtest.h>

#include <map>
#include <optional>
#include <random>
#include <set>

namespace strata::test {
namespace {

std::vector<std::int32_t> pages_of(const PagePool& pool, std::int32_t sequence) {
  const auto pages = pool.pages(sequence);
  return {pages.begin(), pages.end()};
}

TEST(PagePool, SlotsAndPagesComeBack) {
  PagePool pool(4, 8, 2, 3);
  EXPECT_EQ(pool.capacity(), 24);
  const std::int32_t a = pool.open();
  const std::int32_t b = pool.open();
  EXPECT_NE(a, b);
  EXPECT_EQ(pool.open(), -1);
  EXPECT_TRUE(pool.extend(a, 17));
  EXPECT_EQ(pool.free_pages(), 1);
  EXPECT_EQ(pool.length(a), 17);
  pool.close(a);
  EXPECT_EQ(pool.free_pages(), 4);
  EXPECT_EQ(pool.open(), a);
  EXPECT_EQ(pool.length(a), 0);
}

TEST(PagePool, ExhaustionChangesNothing) {
  PagePool pool(3, 8, 3, 3);
  const std::int32_t a = pool.open();
  ASSERT_TRUE(pool.extend(a, 20));
  const std::int32_t b = pool.fork(a, 20);
  const auto before = pages_of(pool, a);
  EXPECT_FALSE(pool.extend(a, 1));  // its shared last page would have to be copied
  EXPECT_FALSE(pool.extend(b, 100));
  EXPECT_EQ(pool.length(a), 20);
  EXPECT_EQ(pages_of(pool, a), before);
  EXPECT_TRUE(pool.copies().empty());
  EXPECT_FALSE(pool.extend(a, 5));  // beyond the page table
  pool.close(b);
  EXPECT_TRUE(pool.extend(a, 4));
}

TEST(PagePool, ASharedPartialPageIsCopiedBeforeItIsWritten) {
  PagePool pool(8, 4, 3, 4);
  const std::int32_t a = pool.open();
  ASSERT_TRUE(pool.extend(a, 6));
  const std::int32_t b = pool.fork(a, 6);
  EXPECT_EQ(pages_of(pool, a), pages_of(pool, b));
  EXPECT_EQ(pool.free_pages(), 6);
  ASSERT_TRUE(pool.extend(b, 1));
  ASSERT_EQ(pool.copies().size(), 1u);
  EXPECT_EQ(pool.copies()[0].from, pool.pages(a)[1]);
  EXPECT_EQ(pool.copies()[0].to, pool.pages(b)[1]);
  EXPECT_EQ(pool.pages(a)[0], pool.pages(b)[0]);
  ASSERT_TRUE(pool.extend(a, 1));  // alone on its page now
  EXPECT_EQ(pool.copies().size(), 1u);
}

TEST(PagePool, AForkAtAPageBoundaryNeedsNoCopy) {
  PagePool pool(8, 4, 3, 4);
  const std::int32_t a = pool.open();
  ASSERT_TRUE(pool.extend(a, 6));
  const std::int32_t b = pool.fork(a, 4);
  ASSERT_TRUE(pool.extend(b, 3));
  EXPECT_TRUE(pool.copies().empty());
  EXPECT_EQ(pool.length(b), 7);
  EXPECT_NE(pool.pages(a)[1], pool.pages(b)[1]);
}

/// The same, the naive way: every sequence is a list of what was written at each position, and
/// every page a list of cells.
class Naive {
 public:
  explicit Naive(int page_tokens) : page_tokens_(page_tokens) {}
  void copy_pages(PagePool& pool) {
    for (const PagePool::PageCopy& copy : pool.copies()) cells_[copy.to] = cells_[copy.from];
    pool.clear_copies();
  }
  void write(const PagePool& pool, std::int32_t sequence, std::size_t position, int value) {
    const std::int32_t page = pool.pages(sequence)[position / page_tokens_];
    cells_[page].resize(page_tokens_, -1);
    cells_[page][position % page_tokens_] = value;
  }
  int read(const PagePool& pool, std::int32_t sequence, std::size_t position) {
    return cells_[pool.pages(sequence)[position / page_tokens_]][position % page_tokens_];
  }

 private:
  std::size_t page_tokens_;
  std::map<std::int32_t, std::vector<int>> cells_;
};

struct Model {
  std::map<std::int32_t, std::vector<int>> sequences;  // by slot: what each position holds
};

void expect_agrees(const PagePool& pool, Naive& memory, const Model& model, int page_tokens) {
  std::set<std::int32_t> used;
  for (const auto& [slot, values] : model.sequences) {
    ASSERT_EQ(pool.length(slot), static_cast<std::int64_t>(values.size()));
    const std::size_t pages = (values.size() + static_cast<std::size_t>(page_tokens) - 1) /
                              static_cast<std::size_t>(page_tokens);
    ASSERT_EQ(pool.pages(slot).size(), pages);
    used.insert(pool.pages(slot).begin(), pool.pages(slot).end());
    for (std::size_t i = 0; i < values.size(); ++i)
      ASSERT_EQ(memory.read(pool, slot, i), values[i]) << "slot " << slot << " position " << i;
  }
  ASSERT_EQ(pool.free_pages(), pool.total_pages() - static_cast<std::int32_t>(used.size()));
}

class RandomPagePool : public testing::Test {
 protected:
  void open() {
    const std::int32_t slot = pool_.open();
    ASSERT_EQ(slot >= 0, model_.sequences.size() < kSequences);
    if (slot >= 0) {
      const bool added = model_.sequences.emplace(slot, std::vector<int>()).second;
      ASSERT_TRUE(added);
    }
  }
  void extend(std::int32_t slot) {
    const std::size_t count = random_() % 9;
    const auto length = static_cast<std::size_t>(pool_.length(slot));
    if (!pool_.extend(slot, static_cast<std::int64_t>(count))) return;
    memory_.copy_pages(pool_);
    for (std::size_t i = 0; i < count; ++i) {
      const int value = static_cast<int>(random_() % 1000000);
      memory_.write(pool_, slot, length + i, value);
      model_.sequences[slot].push_back(value);
    }
  }
  void fork(std::int32_t slot) {
    const std::size_t tokens = random_() % (model_.sequences[slot].size() + 3);
    const std::int32_t forked = pool_.fork(slot, static_cast<std::int64_t>(tokens));
    ASSERT_EQ(forked >= 0, model_.sequences.size() < kSequences);
    if (forked < 0) return;
    std::vector<int> values = model_.sequences[slot];
    values.resize(std::min(tokens, values.size()));
    model_.sequences[forked] = values;
  }
  void truncate(std::int32_t slot) {
    std::vector<int>& values = model_.sequences[slot];
    const std::size_t tokens = random_() % (values.size() + 3);
    pool_.truncate(slot, static_cast<std::int64_t>(tokens));
    values.resize(std::min(tokens, values.size()));
  }
  std::int32_t any() {
    auto at = model_.sequences.begin();
    std::advance(at, static_cast<std::ptrdiff_t>(random_() % model_.sequences.size()));
    return at->first;
  }

  static constexpr std::size_t kSequences = 5;
  static constexpr int kPageTokens = 4;
  std::mt19937 random_{20260102};
  PagePool pool_{14, kPageTokens, kSequences, 6};
  Naive memory_{kPageTokens};
  Model model_;
};

TEST_F(RandomPagePool, AgreesWithANaiveModel) {
  for (int round = 0; round < 20000; ++round) {
    const auto action = random_() % 10;
    if (model_.sequences.empty() || action == 0) {
      open();
    } else if (action == 1) {
      const std::int32_t slot = any();
      pool_.close(slot);
      model_.sequences.erase(slot);
    } else if (action == 2) {
      fork(any());
    } else if (action == 3) {
      truncate(any());
    } else {
      extend(any());
    }
    expect_agrees(pool_, memory_, model_, kPageTokens);
    ASSERT_FALSE(HasFatalFailure()) << "round " << round;
  }
}

}  // namespace
}  // namespace strata::test
