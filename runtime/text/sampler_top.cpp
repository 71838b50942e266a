// The sampler on the largest logits of a row alone, where these are enough.
#include <limits>

#include "runtime/text/sampler.h"

namespace strata::text {

bool Sampler::takes_top(std::size_t count) const {
  const SamplingParameters& p = parameters_;
  if (count == 0 || !row_.empty()) return false;
  if (is_greedy()) return true;
  if (cuts_to_top_k()) return static_cast<std::size_t>(p.top_k) <= count;
  return p.typical_p >= 1 && (p.top_p < 1 || p.min_p > 0);
}

std::optional<Choice> Sampler::sample(const TopLogits& top, std::uint64_t position) {
  if (!takes_top(top.ids.size())) return std::nullopt;
  if (top.unusable != 0) throw_unusable(top.unusable, position);
  if (top.logits[0] < std::numeric_limits<float>::lowest()) throw_banned(position);
  if (is_greedy()) return Choice{top.ids[0], 1.0};
  if (cuts_to_top_k()) {
    candidates_.assign_sorted(top.ids, top.logits, static_cast<std::size_t>(parameters_.top_k));
    return draw(finish_filter(/*top_p_done=*/false), position);
  }
  candidates_.assign_sorted(top.ids, top.logits, top.ids.size());
  if (!cut_tail(top)) return std::nullopt;
  return draw(finish_filter(/*top_p_done=*/true), position);
}

// The cut that top-p or else min-p makes in a whole row, if it is among those that are here. The
// filters behind it then find what they would have found.
bool Sampler::cut_tail(const TopLogits& top) {
  const auto min_keep = static_cast<std::size_t>(parameters_.min_keep);
  if (parameters_.top_p < 1)
    return candidates_.keep_top_p(
        parameters_.top_p, min_keep,
        {top.weight_sum * (1 - top.sum_error), top.weight_sum * (1 + top.sum_error)});
  const std::size_t all = candidates_.size();
  candidates_.keep_min_p(parameters_.min_p, min_keep);
  return candidates_.size() < all;
}

}  // namespace strata::text
