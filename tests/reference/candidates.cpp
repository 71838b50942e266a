#include "tests/reference/candidates.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <numeric>

namespace strata::reference {

Candidates candidates(const std::vector<double>& logits, int count) {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  Candidates result;
  std::vector<double> clean = logits;
  for (double& v : clean) {
    if (!(v < kInfinity)) ++result.unusable;
    if (std::isnan(v)) v = -kInfinity;
  }
  std::vector<int> order(clean.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](int a, int b) {
    return clean[static_cast<std::size_t>(a)] > clean[static_cast<std::size_t>(b)];
  });
  for (std::size_t i = 0; i < static_cast<std::size_t>(count); ++i) {
    const bool there = i < order.size();
    result.ids.push_back(there ? order[i] : -1);
    result.logits.push_back(there ? clean[static_cast<std::size_t>(order[i])] : -kInfinity);
  }
  const double largest = result.logits[0];
  for (double v : clean)
    if (v != -kInfinity) result.weight_sum += v == largest ? 1.0 : std::exp(v - largest);
  return result;
}

}  // namespace strata::reference
