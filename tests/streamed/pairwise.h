#pragma once

#include <algorithm>
#include <random>
#include <set>
#include <tuple>
#include <vector>

namespace strata::test {

/// Rows of choices, one per factor (of levels[f] levels each), in which every two levels of every
/// two factors meet: of forty random rows the one with the most new pairs is taken, until there are
/// none left.
inline std::vector<std::vector<int>> pairwise(const std::vector<int>& levels, unsigned seed) {
  using Pair = std::tuple<std::size_t, int, std::size_t, int>;
  std::set<Pair> missing;
  for (std::size_t a = 0; a < levels.size(); ++a)
    for (std::size_t b = a + 1; b < levels.size(); ++b)
      for (int i = 0; i < levels[a]; ++i)
        for (int j = 0; j < levels[b]; ++j) missing.insert({a, i, b, j});
  const auto pairs_of = [&](const std::vector<int>& row) {
    std::vector<Pair> pairs;
    for (std::size_t a = 0; a < row.size(); ++a)
      for (std::size_t b = a + 1; b < row.size(); ++b)
        if (missing.contains({a, row[a], b, row[b]})) pairs.push_back({a, row[a], b, row[b]});
    return pairs;
  };
  std::mt19937 random(seed);
  std::vector<std::vector<int>> rows;
  while (!missing.empty()) {
    std::vector<int> best;
    std::size_t most = 0;
    for (int attempt = 0; attempt < 40; ++attempt) {
      std::vector<int> row;
      for (const int count : levels)
        row.push_back(static_cast<int>(random() % static_cast<unsigned>(count)));
      const auto& [a, i, b, j] = *missing.begin();  // so that every row has one new pair
      row[a] = i;
      row[b] = j;
      if (const std::size_t found = pairs_of(row).size(); found > most) {
        most = found;
        best = row;
      }
    }
    for (const Pair& pair : pairs_of(best)) missing.erase(pair);
    rows.push_back(best);
  }
  return rows;
}

}  // namespace strata::test
