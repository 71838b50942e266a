#pragma once

#include <cstddef>
#include <vector>

namespace strata::reference {

/// One query head over the keys and values that it sees, in double precision.
struct AttentionResult {
  std::vector<double> out;     ///< (head_dim); zeros when nothing is seen
  std::vector<double> spread;  ///< (head_dim): sum of p * |v|, what relative errors apply to
  double largest_terms = 0;    ///< max over keys of scale * sum |q_i * k_i|
};
using Rows = std::vector<std::vector<double>>;
AttentionResult attend(const std::vector<double>& q, const Rows& keys, const Rows& values,
                       double scale);

/// Rows [first, last) that a query at `position` sees with a sliding window (0: none).
struct Visible {
  std::size_t first;
  std::size_t last;
};
Visible visible_positions(int position, int window);

}  // namespace strata::reference
