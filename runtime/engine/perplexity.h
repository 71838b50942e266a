#pragma once

#include <cstdint>
#include <functional>
#include <span>

#include "runtime/engine/runner.h"
#include "runtime/text/token.h"

namespace strata {

struct PerplexityResult {
  std::int64_t chunks = 0;
  std::int64_t scored_tokens = 0;
  double perplexity = 0;
  double error = 0;  ///< standard error
};

/// Perplexity over non-overlapping chunks of `context` tokens, as llama.cpp counts it: each chunk
/// begins with `bos` in place of its first token (bos < 0: not), and the second half's predictions
/// are scored. `progress(chunk, so_far)` comes after each chunk. `max_chunks` <= 0: all.
/// Throws Error{bad_request} when `context` < 3 (nothing would be scored) or there are fewer than
/// two chunks' worth of tokens.
PerplexityResult measure_perplexity(
    Runner& runner, std::span<const text::TokenId> tokens, std::int64_t context, text::TokenId bos,
    std::int64_t max_chunks,
    const std::function<void(std::int64_t chunk, double so_far)>& progress);

/// Runs all of `tokens` as one sequence, in chunks of at most runner.max_tokens(), and hands over
/// the logits of every position >= first_wanted, in order.
void run_prompt(Runner& runner, std::span<const text::TokenId> tokens, std::int64_t first_wanted,
                const std::function<void(std::int64_t position, std::span<const float>)>& sink);

}  // namespace strata
