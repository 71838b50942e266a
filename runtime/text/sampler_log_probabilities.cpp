#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "runtime/core/error.h"
#include "runtime/text/sampler.h"

namespace strata::text {
namespace {

bool better(const TokenLogProbability& a, const TokenLogProbability& b) {
  return a.log_probability != b.log_probability ? a.log_probability > b.log_probability
                                                : a.id < b.id;
}

// log of the sum of exp(logit).
double log_sum_exp(std::span<const float> logits) {
  float largest = -std::numeric_limits<float>::infinity();
  std::size_t bad = 0;
  for (float logit : logits) {
    largest = std::max(largest, logit);
    bad += !(logit <= std::numeric_limits<float>::max());
  }
  if (bad != 0 || largest < std::numeric_limits<float>::lowest())
    throw Error(ErrorCode::numeric, "log-probabilities",
                bad != 0 ? fmt::format("{} of {} logits are NaN or +infinity", bad, logits.size())
                         : fmt::format("all {} tokens are banned", logits.size()));
  const double top = static_cast<double>(largest);
  double sum = 0;
  for (float logit : logits) sum += std::exp(static_cast<double>(logit) - top);
  return top + std::log(sum);
}

}  // namespace

double log_probabilities(std::span<const float> logits, TokenId chosen,
                         std::span<TokenLogProbability> top) {
  if (chosen < 0 || static_cast<std::size_t>(chosen) >= logits.size())
    throw Error(
        ErrorCode::bad_request, "token",
        fmt::format("{} does not exist: the vocabulary has {} tokens", chosen, logits.size()));
  if (top.size() > logits.size())
    throw Error(ErrorCode::bad_request, "logprobs",
                fmt::format("{} asked of a vocabulary of {} tokens", top.size(), logits.size()));
  const double log_sum = log_sum_exp(logits);
  // A heap whose front is the worst of the best so far.
  for (std::size_t i = 0; i < logits.size() && !top.empty(); ++i) {
    const TokenLogProbability entry{static_cast<TokenId>(i),
                                    static_cast<double>(logits[i]) - log_sum};
    if (i < top.size()) {
      top[i] = entry;
      if (i + 1 == top.size()) std::make_heap(top.begin(), top.end(), better);
    } else if (better(entry, top.front())) {
      std::pop_heap(top.begin(), top.end(), better);
      top.back() = entry;
      std::push_heap(top.begin(), top.end(), better);
    }
  }
  std::sort_heap(top.begin(), top.end(), better);
  return static_cast<double>(logits[static_cast<std::size_t>(chosen)]) - log_sum;
}

}  // namespace strata::text
