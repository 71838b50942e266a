#include "runtime/engine/stop_filter.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>

namespace strata::test {
namespace {

// The text up to the stop string that is complete first, of several there the longest.
std::string expected(const std::string& text, const std::vector<std::string>& stops, bool& found) {
  for (std::size_t end = 1; end <= text.size(); ++end) {
    std::size_t longest = 0;
    for (const std::string& stop : stops)
      if (stop.size() <= end && text.compare(end - stop.size(), stop.size(), stop) == 0)
        longest = std::max(longest, stop.size());
    if (longest == 0) continue;
    found = true;
    return text.substr(0, end - longest);
  }
  found = false;
  return text;
}

std::string random_text(std::mt19937& random, std::size_t longest) {
  std::string text(random() % (longest + 1), 'a');
  for (char& c : text) c = static_cast<char>('a' + random() % 3);
  return text;
}

TEST(StopFilter, FindsTheFirstStopHoweverTheTextIsCut) {
  std::mt19937 random(20260103);
  for (int round = 0; round < 20000; ++round) {
    std::vector<std::string> stops(random() % 4);
    for (std::string& stop : stops) stop = random_text(random, 5);
    const std::string text = random_text(random, 24);
    bool found = false;
    const std::string want = expected(text, stops, found);
    StopFilter filter(stops);
    std::string got;
    for (std::size_t at = 0; at < text.size();) {
      const std::size_t count = std::min<std::size_t>(random() % 6, text.size() - at);
      got += filter.push(text.substr(at, count));
      at += count;
      // What has come out is never taken back, and never runs into what may be a stop string.
      ASSERT_TRUE(want.starts_with(got)) << text;
    }
    got += filter.finish();
    ASSERT_EQ(got, want) << text;
    ASSERT_EQ(filter.stopped(), found) << text;
  }
}

TEST(StopFilter, HoldsBackNoMoreThanNeeded) {
  StopFilter filter({"</end>"});
  EXPECT_EQ(filter.push("a <"), "a ");
  EXPECT_EQ(filter.push("/e"), "");
  EXPECT_EQ(filter.push("x"), "</ex");
  EXPECT_EQ(filter.push("b</end>c"), "b");
  EXPECT_TRUE(filter.stopped());
  EXPECT_EQ(filter.push("more"), "");
  EXPECT_EQ(filter.finish(), "");
}

TEST(StopFilter, EmptyStopStringsAreIgnored) {
  StopFilter filter({"", ""});
  EXPECT_EQ(filter.push("text"), "text");
  EXPECT_FALSE(filter.stopped());
}

}  // namespace
}  // namespace strata::test
