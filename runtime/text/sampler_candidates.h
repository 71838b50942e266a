#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "runtime/text/token.h"

namespace strata::text {

/// A token that may still be chosen. `weight` is exp(logit - largest logit) after softmax(), and
/// scratch otherwise.
struct Candidate {
  float logit;
  float weight;
  TokenId id;
};

/// The candidates of one draw, in the order largest logit first, ties by id. That order is made
/// only as far as it is looked at: the filters mostly look at a short head of a long vocabulary.
/// Candidates with a logit of -infinity (banned or masked) count until the draw, as in llama.cpp.
class CandidateList {
 public:
  /// Holds lists of up to `capacity` candidates without allocating again.
  explicit CandidateList(std::size_t capacity) { candidates_.reserve(capacity); }

  /// Every token of the row; no NaN.
  void assign(std::span<const float> logits);
  /// The `count` largest of the row (all, if it has fewer), sorted; uses room for 2 * count.
  void assign_largest(std::span<const float> logits, std::size_t count);

  /// The first `count` of tokens that are already in order.
  void assign_sorted(std::span<const TokenId> ids, std::span<const float> logits,
                     std::size_t count);

  std::size_t size() const { return candidates_.size(); }
  /// The candidate of that rank; sorts the list as far as needed. rank < size().
  const Candidate& at(std::size_t rank);
  /// Drops all but the first `count`; at() has been asked for rank count - 1.
  void keep_first(std::size_t count);

  /// Sets the weights; returns their sum, at least 1 for a list with a finite logit.
  double softmax();

  /// Locally typical sampling (Meister et al. 2022): keeps those whose surprise is nearest to the
  /// entropy until they hold more than `p` of the probability and are at least `min_keep`.
  void keep_typical(float p, std::size_t min_keep);
  /// Nucleus sampling (Holtzman et al. 2020): keeps the head until it holds at least `p`.
  void keep_top_p(float p, std::size_t min_keep);
  /// The same for the head of a longer list, whose weights sum to something between the two of
  /// `sums`. False when the end of what is to be kept cannot be told from that.
  bool keep_top_p(float p, std::size_t min_keep, std::pair<double, double> sums);
  /// Keeps those at least `p` times as probable as the first.
  void keep_min_p(float p, std::size_t min_keep);
  /// Divides the logits by `temperature` (0 or less: keeps the first alone). The largest becomes 0.
  void apply_temperature(float temperature);
  /// The temperature of this list's entropy: between temperature - range (not below 0) and
  /// temperature + range, by the entropy's share of the largest possible, to the power `exponent`.
  float dynamic_temperature(float temperature, float range, float exponent);

 private:
  std::vector<Candidate> candidates_;
  std::size_t sorted_ = 0;  // this many stand in their final order, before all others
};

}  // namespace strata::text
