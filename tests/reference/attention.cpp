#include "tests/reference/attention.h"

#include <algorithm>
#include <cmath>

namespace strata::reference {

AttentionResult attend(const std::vector<double>& q, const Rows& keys, const Rows& values,
                       double scale) {
  AttentionResult result{std::vector<double>(q.size()), std::vector<double>(q.size()), 0};
  std::vector<double> scores;
  for (const std::vector<double>& key : keys) {
    double score = 0;
    double terms = 0;
    for (std::size_t i = 0; i < q.size(); ++i) {
      score += q[i] * key[i];
      terms += std::fabs(q[i] * key[i]);
    }
    scores.push_back(score * scale);
    result.largest_terms = std::max(result.largest_terms, terms * std::fabs(scale));
  }
  if (scores.empty()) return result;
  const double largest = *std::max_element(scores.begin(), scores.end());
  double total = 0;
  for (double& s : scores) total += s = std::exp(s - largest);
  for (std::size_t j = 0; j < scores.size(); ++j) {
    for (std::size_t i = 0; i < q.size(); ++i) {
      result.out[i] += scores[j] / total * values[j][i];
      result.spread[i] += scores[j] / total * std::fabs(values[j][i]);
    }
  }
  return result;
}

Visible visible_positions(int position, int window) {
  if (position < 0) return {0, 0};
  const int first = window == 0 ? 0 : std::max(0, position - window + 1);
  return {static_cast<std::size_t>(first), static_cast<std::size_t>(position) + 1};
}

}  // namespace strata::reference
