#pragma once

#include <vector>

namespace strata::reference {

/// The experts of one token, largest logit first (ties: lower id, NaN last like -inf), with their
/// shares of the softmax over all experts, divided by the shares' sum when `renormalise`.
struct Routing {
  std::vector<int> ids;
  std::vector<double> weights;
};
Routing route(const std::vector<double>& logits, int used, bool renormalise);

}  // namespace strata::reference
