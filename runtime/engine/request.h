#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/core/error.h"
#include "runtime/text/sampler.h"
#include "runtime/text/token.h"

namespace strata {

/// What to generate. Owned by the engine once submitted.
struct Request {
  std::vector<text::TokenId> prompt;  ///< used as it is; at least one token
  text::SamplingParameters sampling;
  std::int64_t max_tokens = -1;             ///< -1: until the end token or the context is full
  bool ignore_eos = false;                  ///< end tokens are emitted like any other
  std::vector<std::string> stop;            ///< texts that end the answer; they are not part of it
  std::int32_t top_log_probabilities = -1;  ///< >= 0: also log-probabilities, of so many tokens
  bool show_control = false;                ///< print control tokens
  bool strip_first_space = false;           ///< see text::DecodeOptions
};

enum class FinishReason : std::uint8_t { stop, length, cancelled, error };
std::string_view finish_reason_name(FinishReason reason);

/// Wall times of a request, nanoseconds; prompt tokens per second and so on follow from them.
struct RequestTimings {
  std::int64_t queued_ns = 0;
  std::int64_t prompt_ns = 0;    ///< until the first token was chosen
  std::int64_t generate_ns = 0;  ///< from the first token to the last
  std::int64_t prompt_tokens = 0;
  std::int64_t generated_tokens = 0;
  std::int64_t drafted_tokens = 0;   ///< proposed by prompt lookup
  std::int64_t accepted_tokens = 0;  ///< of those, chosen
};

/// One step of an answer.
struct GenerationEvent {
  std::optional<text::TokenId> token;  ///< the token chosen, unless only held text came out
  std::string text;                    ///< well-formed UTF-8 that became certain with it
  double log_probability = 0;          ///< of `token`, when asked for
  std::vector<text::TokenLogProbability> top;
  std::optional<FinishReason> finished;  ///< the last event; no token then
  std::optional<Error> error;            ///< with FinishReason::error
  RequestTimings timings;                ///< in the last event
};

}  // namespace strata
