#include "runtime/text/sampler.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "runtime/core/error.h"
#include "runtime/text/random.h"

namespace strata::text {
namespace {

constexpr float kLargest = std::numeric_limits<float>::max();
constexpr float kBanned = -std::numeric_limits<float>::infinity();

// The typical filter alone may drop the largest.
bool greedy(const SamplingParameters& p) { return p.temperature <= 0 && p.typical_p >= 1; }

std::size_t candidate_capacity(const SamplingParameters& p, std::size_t vocabulary) {
  if (p.top_k <= 0) return vocabulary;
  return std::min(vocabulary, 2 * static_cast<std::size_t>(p.top_k));
}

// Masks what lies more than n standard deviations below the largest logit (Tang et al. 2024).
// Banned tokens count for neither mean nor deviation.
void mask_below_sigma(std::span<float> row, float n) {
  double sum = 0;
  double count = 0;
  double largest = static_cast<double>(kBanned);
  for (float logit : row) {
    if (logit == kBanned) continue;
    sum += static_cast<double>(logit);
    largest = std::max(largest, static_cast<double>(logit));
    ++count;
  }
  if (count == 0) return;
  double squares = 0;
  for (float logit : row) {
    const double distance = static_cast<double>(logit) - sum / count;
    if (logit != kBanned) squares += distance * distance;
  }
  const double least = largest - static_cast<double>(n) * std::sqrt(squares / count);
  for (float& logit : row)
    if (static_cast<double>(logit) < least) logit = kBanned;
}

std::size_t largest_of(std::span<const float> row) {
  return static_cast<std::size_t>(std::max_element(row.begin(), row.end()) - row.begin());
}

}  // namespace

Sampler::Sampler(SamplingParameters parameters, std::size_t vocabulary, std::uint64_t sequence)
    : parameters_((parameters.validate(), std::move(parameters))),
      vocabulary_(vocabulary),
      sequence_(sequence),
      candidates_(greedy(parameters_) ? 0 : candidate_capacity(parameters_, vocabulary)) {
  for (const auto& [id, bias] : parameters_.logit_bias) {
    if (static_cast<std::size_t>(id) >= vocabulary)
      throw Error(
          ErrorCode::bad_request, "logit_bias",
          fmt::format("token {} does not exist: the vocabulary has {} tokens", id, vocabulary),
          fmt::format("use ids of 0 to {}", vocabulary - 1));
  }
  if (penalizes()) {
    counts_.resize(vocabulary);
    if (parameters_.repeat_last_n > 0)
      window_.resize(static_cast<std::size_t>(parameters_.repeat_last_n));
  }
  if (penalizes() || !parameters_.logit_bias.empty() || parameters_.top_n_sigma > 0)
    row_.resize(vocabulary);
}

bool Sampler::is_greedy() const { return greedy(parameters_); }

// Then only so many of the largest logits matter.
bool Sampler::cuts_to_top_k() const {
  return parameters_.top_k > 0 && static_cast<std::size_t>(parameters_.top_k) < vocabulary_;
}

bool Sampler::penalizes() const {
  const SamplingParameters& p = parameters_;
  return p.repeat_last_n != 0 &&
         (p.repeat_penalty != 1 || p.presence_penalty != 0 || p.frequency_penalty != 0);
}

void Sampler::accept(TokenId token) {
  const auto index = static_cast<std::size_t>(token);
  if (token < 0 || index >= vocabulary_)
    throw Error(ErrorCode::bad_request, "token",
                fmt::format("{} does not exist: the vocabulary has {} tokens", token, vocabulary_));
  if (counts_.empty()) return;
  ++counts_[index];
  if (window_.empty()) return;
  if (accepted_ == window_.size())
    --counts_[static_cast<std::size_t>(window_[window_next_])];
  else
    ++accepted_;
  window_[window_next_] = token;
  window_next_ = window_next_ + 1 == window_.size() ? 0 : window_next_ + 1;
}

void Sampler::check(std::span<const float> logits, std::uint64_t position) const {
  if (logits.size() != vocabulary_)
    throw Error(ErrorCode::runtime, "sampler",
                fmt::format("got {} logits for a vocabulary of {}", logits.size(), vocabulary_));
  std::size_t bad = 0;
  for (float logit : logits) bad += !(logit <= kLargest);
  if (bad != 0) throw_unusable(bad, position);
}

void Sampler::throw_unusable(std::size_t count, std::uint64_t position) const {
  throw Error(ErrorCode::numeric, fmt::format("logits at position {}", position),
              fmt::format("{} of {} are NaN or +infinity", count, vocabulary_),
              "the model file may be damaged, or a value overflowed f16: try -ctk f32 -ctv f32");
}

void Sampler::throw_banned(std::uint64_t position) const {
  throw Error(ErrorCode::numeric, fmt::format("logits at position {}", position),
              fmt::format("all {} tokens are banned", vocabulary_),
              parameters_.logit_bias.empty() ? "" : "ban fewer tokens with logit_bias");
}

void Sampler::apply_bias() {
  for (const auto& [id, bias] : parameters_.logit_bias) {
    float& logit = row_[static_cast<std::size_t>(id)];
    logit = std::min(logit + bias, kLargest);
  }
}

void Sampler::apply_penalties() {
  const SamplingParameters& p = parameters_;
  for (std::size_t i = 0; i < vocabulary_; ++i) {
    if (counts_[i] == 0) continue;
    float& logit = row_[i];
    // Dividing a negative logit would make the token more likely (llama.cpp's fix of CTRL).
    logit = logit <= 0 ? logit * p.repeat_penalty : logit / p.repeat_penalty;
    logit -= static_cast<float>(counts_[i]) * p.frequency_penalty + p.presence_penalty;
    logit = std::min(logit, kLargest);
  }
}

std::span<const float> Sampler::adjust(std::span<const float> logits) {
  if (row_.empty()) return logits;
  std::copy(logits.begin(), logits.end(), row_.begin());
  apply_bias();
  if (!counts_.empty()) apply_penalties();
  if (parameters_.top_n_sigma > 0 && vocabulary_ > 1)
    mask_below_sigma(row_, parameters_.top_n_sigma);
  return row_;
}

void Sampler::filter(std::span<const float> logits) {
  if (cuts_to_top_k())
    candidates_.assign_largest(logits, static_cast<std::size_t>(parameters_.top_k));
  else
    candidates_.assign(logits);
}

// What follows top-k, of which top-p may have been done; returns the sum of the weights.
double Sampler::finish_filter(bool top_p_done) {
  const SamplingParameters& p = parameters_;
  const auto min_keep = static_cast<std::size_t>(p.min_keep);
  if (p.typical_p < 1) candidates_.keep_typical(p.typical_p, min_keep);
  if (p.top_p < 1 && !top_p_done) candidates_.keep_top_p(p.top_p, min_keep);
  if (p.min_p > 0) candidates_.keep_min_p(p.min_p, min_keep);
  const bool dynamic = p.temperature > 0 && p.dynatemp_range > 0;
  candidates_.apply_temperature(dynamic ? candidates_.dynamic_temperature(
                                              p.temperature, p.dynatemp_range, p.dynatemp_exponent)
                                        : p.temperature);
  return candidates_.softmax();
}

Choice Sampler::sample(std::span<const float> logits, std::uint64_t position) {
  check(logits, position);
  const std::span<const float> row = adjust(logits);
  const std::size_t best = largest_of(row);
  if (row.empty() || row[best] == kBanned) throw_banned(position);
  if (is_greedy()) return {static_cast<TokenId>(best), 1.0};
  filter(row);
  return draw(finish_filter(/*top_p_done=*/false), position);
}

// One of the candidates, by their weights.
Choice Sampler::draw(double sum, std::uint64_t position) {
  const double target = uniform_at(parameters_.seed, sequence_, position) * sum;
  double passed = 0;
  std::size_t chosen = 0;
  // Rounding may leave the target past the last step of the sum: then the last possible one.
  for (std::size_t i = 0; i < candidates_.size() && candidates_.at(i).weight > 0; ++i) {
    chosen = i;
    passed += static_cast<double>(candidates_.at(i).weight);
    if (passed > target) break;
  }
  const Candidate& candidate = candidates_.at(chosen);
  return {candidate.id, static_cast<double>(candidate.weight) / sum};
}

std::vector<TokenProbability> Sampler::distribution(std::span<const float> logits) {
  const Choice best = sample(logits, 0);
  if (is_greedy()) return {best};
  // sample() left the survivors and their weights in place; softmax() finds them unchanged.
  const double sum = candidates_.softmax();
  std::vector<TokenProbability> result;
  for (std::size_t i = 0; i < candidates_.size() && candidates_.at(i).logit != kBanned; ++i)
    result.push_back({candidates_.at(i).id, static_cast<double>(candidates_.at(i).weight) / sum});
  return result;
}

}  // namespace strata::text
