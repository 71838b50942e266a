#pragma once

#include <vector>

namespace strata::reference {

/// What TopCandidates says of a row of logits.
struct Candidates {
  std::vector<int> ids;        ///< largest logit first (ties: lower id, NaN as -inf), then -1
  std::vector<double> logits;  ///< of them; -inf behind the last
  double weight_sum = 0;       ///< of exp(logit - largest) over the row
  int unusable = 0;            ///< logits that are NaN or +inf
};
Candidates candidates(const std::vector<double>& logits, int count);

}  // namespace strata::reference
