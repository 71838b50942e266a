#include "runtime/engine/perplexity.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "runtime/core/error.h"
#include "runtime/text/sampler.h"

namespace strata {
namespace {

// Closes the sequence however the run ends.
class OpenSequence {
 public:
  explicit OpenSequence(PagePool& pool) : pool_(pool), slot_(pool.open()) {
    if (slot_ < 0)
      throw Error(ErrorCode::bad_request, "sequence", "no slot of the KV cache is free");
  }
  ~OpenSequence() { pool_.close(slot_); }
  OpenSequence(const OpenSequence&) = delete;
  OpenSequence& operator=(const OpenSequence&) = delete;
  std::int32_t slot() const { return slot_; }

 private:
  PagePool& pool_;
  std::int32_t slot_;
};

}  // namespace

void run_prompt(Runner& runner, std::span<const text::TokenId> tokens, std::int64_t first_wanted,
                const std::function<void(std::int64_t, std::span<const float>)>& sink) {
  const OpenSequence sequence(runner.pool());
  const auto total = static_cast<std::int64_t>(tokens.size());
  std::vector<BatchToken> batch;
  for (std::int64_t first = 0; first < total; first += runner.max_tokens()) {
    const std::int64_t count = std::min<std::int64_t>(runner.max_tokens(), total - first);
    if (!runner.pool().extend(sequence.slot(), count))
      throw Error(
          ErrorCode::bad_request, "prompt",
          fmt::format("has {} tokens, but the context holds {}", total, runner.pool().capacity()),
          "raise -c or shorten the prompt");
    batch.clear();
    for (std::int64_t i = first; i < first + count; ++i)
      batch.push_back({tokens[static_cast<std::size_t>(i)], sequence.slot(),
                       static_cast<std::int32_t>(i), i >= first_wanted});
    runner.step(batch, [&](std::size_t index, std::span<const float> logits) {
      sink(first + static_cast<std::int64_t>(index), logits);
    });
  }
}

PerplexityResult measure_perplexity(
    Runner& runner, std::span<const text::TokenId> tokens, std::int64_t context, text::TokenId bos,
    std::int64_t max_chunks,
    const std::function<void(std::int64_t chunk, double so_far)>& progress) {
  const auto total = static_cast<std::int64_t>(tokens.size());
  if (context < 3)
    throw Error(ErrorCode::bad_request, "context",
                fmt::format("is {} tokens, but only predictions in the second half of a chunk are "
                            "scored, and a chunk that has any holds 3 tokens",
                            context),
                "a larger -c; 512 is usual");
  if (total < 2 * context)
    throw Error(ErrorCode::bad_request, "text",
                fmt::format("has {} tokens, but perplexity at context {} needs at least {}", total,
                            context, 2 * context),
                "give a longer text or a smaller -c");
  PerplexityResult result;
  result.chunks = total / context;
  if (max_chunks > 0) result.chunks = std::min(result.chunks, max_chunks);
  double sum = 0;
  double sum_of_squares = 0;
  std::vector<text::TokenId> chunk;
  for (std::int64_t c = 0; c < result.chunks; ++c) {
    const auto source =
        tokens.subspan(static_cast<std::size_t>(c * context), static_cast<std::size_t>(context));
    chunk.assign(source.begin(), source.end());
    if (bos >= 0) chunk[0] = bos;
    run_prompt(runner, chunk, context / 2, [&](std::int64_t position, std::span<const float> row) {
      if (position + 1 >= context) return;
      const text::TokenId next = source[static_cast<std::size_t>(position + 1)];
      const double nll = -text::log_probabilities(row, next, {});
      sum += nll;
      sum_of_squares += nll * nll;
      ++result.scored_tokens;
    });
    const double mean = sum / static_cast<double>(result.scored_tokens);
    if (progress) progress(c + 1, std::exp(mean));
  }
  const auto count = static_cast<double>(result.scored_tokens);
  const double mean = sum / count;
  const double variance = sum_of_squares / count - mean * mean;
  result.perplexity = std::exp(mean);
  if (count > 1 && variance > 0)
    result.error = std::sqrt(variance / (count - 1)) * result.perplexity;
  return result;
}

}  // namespace strata
