#include "runtime/text/sampler_candidates.h"

#include <algorithm>
#include <cmath>

namespace strata::text {
namespace {

constexpr std::size_t kFirstSorted = 128;

bool before(const Candidate& a, const Candidate& b) {
  return a.logit != b.logit ? a.logit > b.logit : a.id < b.id;
}

auto position(std::vector<Candidate>& list, std::size_t index) {
  return list.begin() + static_cast<std::ptrdiff_t>(index);
}

}  // namespace

void CandidateList::assign(std::span<const float> logits) {
  candidates_.clear();
  for (std::size_t i = 0; i < logits.size(); ++i)
    candidates_.push_back({logits[i], 0.0f, static_cast<TokenId>(i)});
  sorted_ = 0;
}

void CandidateList::assign_largest(std::span<const float> logits, std::size_t count) {
  candidates_.clear();
  float floor = 0;
  bool full = false;  // then only what is above the floor can be among the largest
  auto cut = [&] {
    std::nth_element(candidates_.begin(), position(candidates_, count - 1), candidates_.end(),
                     before);
    candidates_.resize(count);
    floor = candidates_.back().logit;
    full = true;
  };
  for (std::size_t i = 0; i < logits.size(); ++i) {
    // Ids ascend, so a tie with the floor loses to those already held.
    if (full && !(logits[i] > floor)) continue;
    candidates_.push_back({logits[i], 0.0f, static_cast<TokenId>(i)});
    if (candidates_.size() == 2 * count) cut();
  }
  if (candidates_.size() > count) cut();
  std::sort(candidates_.begin(), candidates_.end(), before);
  sorted_ = candidates_.size();
}

void CandidateList::assign_sorted(std::span<const TokenId> ids, std::span<const float> logits,
                                  std::size_t count) {
  candidates_.clear();
  for (std::size_t i = 0; i < count; ++i) candidates_.push_back({logits[i], 0.0f, ids[i]});
  sorted_ = count;
}

const Candidate& CandidateList::at(std::size_t rank) {
  while (rank >= sorted_) {
    const std::size_t end = std::min(size(), std::max(kFirstSorted, 4 * sorted_));
    if (end < size())
      std::nth_element(position(candidates_, sorted_), position(candidates_, end),
                       candidates_.end(), before);
    std::sort(position(candidates_, sorted_), position(candidates_, end), before);
    sorted_ = end;
  }
  return candidates_[rank];
}

void CandidateList::keep_first(std::size_t count) {
  candidates_.resize(count);
  sorted_ = std::min(sorted_, count);
}

double CandidateList::softmax() {
  const float largest = at(0).logit;
  double sum = 0;
  for (Candidate& candidate : candidates_) {
    candidate.weight = std::exp(candidate.logit - largest);
    sum += static_cast<double>(candidate.weight);
  }
  return sum;
}

void CandidateList::keep_typical(float p, std::size_t min_keep) {
  const double sum = softmax();
  const double log_sum = std::log(sum);
  const double largest = static_cast<double>(at(0).logit);
  auto surprise = [&](const Candidate& c) {
    return log_sum + largest - static_cast<double>(c.logit);
  };
  double entropy = 0;
  for (const Candidate& c : candidates_)
    if (c.weight > 0) entropy += static_cast<double>(c.weight) / sum * surprise(c);
  // The sort key takes the weight's place; the weight follows from the logit again.
  for (Candidate& c : candidates_) c.weight = static_cast<float>(std::abs(surprise(c) - entropy));
  std::sort(candidates_.begin(), candidates_.end(), [](const Candidate& a, const Candidate& b) {
    return a.weight != b.weight ? a.weight < b.weight : before(a, b);
  });
  double kept = 0;
  std::size_t count = 0;
  while (count < size()) {
    kept += std::exp(-surprise(candidates_[count++]));
    if (kept > static_cast<double>(p) && count >= min_keep) break;
  }
  candidates_.resize(count);
  sorted_ = 0;
}

void CandidateList::keep_top_p(float p, std::size_t min_keep) {
  const double enough = static_cast<double>(p) * softmax();
  double kept = 0;
  std::size_t count = 0;
  while (count < size()) {
    kept += static_cast<double>(at(count++).weight);
    if (kept >= enough && count >= min_keep) break;
  }
  keep_first(count);
}

bool CandidateList::keep_top_p(float p, std::size_t min_keep, std::pair<double, double> sums) {
  softmax();
  const double surely_less = static_cast<double>(p) * sums.first;
  const double surely_enough = static_cast<double>(p) * sums.second;
  double kept = 0;
  for (std::size_t count = 0; count < size();) {
    kept += static_cast<double>(at(count++).weight);
    if (kept < surely_less || count < min_keep) continue;
    if (kept < surely_enough) return false;
    keep_first(count);
    return true;
  }
  return false;
}

void CandidateList::keep_min_p(float p, std::size_t min_keep) {
  const float least = at(0).logit + std::log(p);
  std::size_t count = 1;
  while (count < size() && (at(count).logit >= least || count < min_keep)) ++count;
  keep_first(count);
}

void CandidateList::apply_temperature(float temperature) {
  const float largest = at(0).logit;
  if (temperature <= 0.0f) keep_first(1);
  // Differences from the largest, so that a tiny temperature cannot overflow it.
  for (Candidate& c : candidates_)
    c.logit = c.logit == largest ? 0.0f : (c.logit - largest) / temperature;
}

float CandidateList::dynamic_temperature(float temperature, float range, float exponent) {
  if (size() <= 1) return temperature;
  const double sum = softmax();
  double entropy = 0;
  for (const Candidate& c : candidates_) {
    const double probability = static_cast<double>(c.weight) / sum;
    if (probability > 0) entropy -= probability * std::log(probability);
  }
  const float share = static_cast<float>(entropy / std::log(static_cast<double>(size())));
  const float least = std::max(0.0f, temperature - range);
  return least + (temperature + range - least) * std::pow(std::clamp(share, 0.0f, 1.0f), exponent);
}

}  // namespace strata::text
