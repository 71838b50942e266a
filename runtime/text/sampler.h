#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "runtime/text/sampler_candidates.h"

namespace strata::text {

/// How the next token is chosen, with llama.cpp's names and defaults. Plain data; the seed is
/// already a number (who wants a random one draws it and says which).
struct SamplingParameters {
  float temperature = 0.8f;         ///< 0 or less: the most probable token
  float dynatemp_range = 0.0f;      ///< temperature +- this, by entropy; 0 = off
  float dynatemp_exponent = 1.0f;   ///< of the normalized entropy
  std::int32_t top_k = 40;          ///< 0 or less = off
  float top_p = 0.95f;              ///< 1 = off
  float min_p = 0.05f;              ///< 0 = off
  float typical_p = 1.0f;           ///< 1 = off
  float top_n_sigma = -1.0f;        ///< 0 or less = off
  float repeat_penalty = 1.0f;      ///< 1 = off
  std::int32_t repeat_last_n = 64;  ///< tokens the penalties look back; 0 = off, -1 = all of them
  float presence_penalty = 0.0f;
  float frequency_penalty = 0.0f;
  std::vector<std::pair<TokenId, float>> logit_bias;  ///< added to logits; -infinity bans
  std::uint64_t seed = 0;
  std::int32_t min_keep = 0;  ///< typical, top-p and min-p leave at least so many

  /// Throws Error{bad_request} naming the first field out of its range, its value and the range.
  void validate() const;
};

/// A token and how probable it is.
struct TokenProbability {
  TokenId id = 0;
  double probability = 0;
};

/// What sample() chose; the probability is that of the final distribution.
using Choice = TokenProbability;

/// The largest of a row of logits, as a device finds them, and what it says of the others.
struct TopLogits {
  std::span<const TokenId> ids;   ///< largest logit first, ties by id
  std::span<const float> logits;  ///< of them
  double weight_sum = 0;          ///< of exp(logit - largest) over the whole row
  double sum_error = 0;           ///< how far that may be off, as a share of it
  std::size_t unusable = 0;       ///< logits of the row that are NaN or +infinity
};

/// Chooses the tokens of one sequence. The chain and its order are llama.cpp's: logit bias,
/// penalties, top-n-sigma, top-k, typical, top-p, min-p, temperature, then one draw. Ties go to the
/// lower id. Owns its buffers: nothing is allocated after the first call (but by distribution()).
/// Copyable; one thread at a time.
class Sampler {
 public:
  /// `sequence` separates the random numbers of requests with the same seed. Throws
  /// Error{bad_request} for parameters out of range or a bias for a token beyond `vocabulary`.
  Sampler(SamplingParameters parameters, std::size_t vocabulary, std::uint64_t sequence = 0);

  const SamplingParameters& parameters() const { return parameters_; }

  /// Feeds the history that the penalties look at: every prompt token, then every chosen one.
  /// Throws Error{bad_request} for an id beyond the vocabulary.
  void accept(TokenId token);

  /// The token at `position` of the sequence, from its raw logits (vocabulary). The same arguments
  /// and history always give the same token. Throws Error{numeric} for NaN or +infinity, naming
  /// position and count, and when every token is banned.
  Choice sample(std::span<const float> logits, std::uint64_t position);

  /// Whether it only asks which logit is the largest.
  bool is_greedy() const;
  /// Whether the `count` largest logits of a row may be enough for sample(). Not with penalties,
  /// a bias or top-n-sigma, which look at every logit.
  bool takes_top(std::size_t count) const;
  /// What sample() of the whole row would choose, with its errors. Empty when that cannot be told
  /// from these: the whole row has to be asked.
  std::optional<Choice> sample(const TopLogits& top, std::uint64_t position);

  /// The distribution that sample() draws from: the survivors, most probable first. Errors as
  /// sample().
  std::vector<TokenProbability> distribution(std::span<const float> logits);

 private:
  void check(std::span<const float> logits, std::uint64_t position) const;
  std::span<const float> adjust(std::span<const float> logits);
  void apply_bias();
  void apply_penalties();
  [[noreturn]] void throw_unusable(std::size_t count, std::uint64_t position) const;
  [[noreturn]] void throw_banned(std::uint64_t position) const;
  bool cuts_to_top_k() const;
  bool cut_tail(const TopLogits& top);
  void filter(std::span<const float> logits);
  double finish_filter(bool top_p_done);
  Choice draw(double sum, std::uint64_t position);
  bool penalizes() const;

  SamplingParameters parameters_;
  std::size_t vocabulary_;
  std::uint64_t sequence_;
  std::vector<float> row_;             // adjusted copy of the logits; empty if nothing adjusts them
  std::vector<std::uint32_t> counts_;  // (vocabulary) occurrences in the window; empty if unused
  std::vector<TokenId> window_;        // ring of the last repeat_last_n tokens; empty if unbounded
  std::size_t window_next_ = 0;        // slot that the next token takes
  std::size_t accepted_ = 0;
  CandidateList candidates_;
};

/// A token and the natural logarithm of its probability; -infinity for a banned one.
struct TokenLogProbability {
  TokenId id = 0;
  double log_probability = 0;
};

/// Log-probabilities of the raw logits (vocabulary), before any sampler, as OpenAI's API gives
/// them: log-softmax with the sum in double. Returns that of `chosen`, and fills `top` with the
/// top.size() most probable tokens, best first, ties by id. Allocates nothing. Throws
/// Error{numeric} for NaN, +infinity or nothing but -infinity, Error{bad_request} for a `chosen`
/// beyond the vocabulary or a `top` longer than it.
double log_probabilities(std::span<const float> logits, TokenId chosen,
                         std::span<TokenLogProbability> top);

}  // namespace strata::text
