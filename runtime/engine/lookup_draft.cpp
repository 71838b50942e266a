#include "runtime/engine/lookup_draft.h"

#include <algorithm>

namespace strata {
namespace {

// A single equal token says little; more than four hardly more than four.
constexpr std::size_t kLeastMatch = 2;
constexpr std::size_t kMostMatch = 4;

// Of older steps' figures so much counts after each new one: the last ten or so matter.
constexpr double kMemory = 0.9;
// Steps of a kind before its rate is believed.
constexpr std::int64_t kLeastSteps = 3;
// Steps after which the kind that lost is tried once more.
constexpr std::int64_t kRetry = 32;

}  // namespace

std::span<const text::TokenId> lookup_draft(std::span<const text::TokenId> tokens,
                                            std::size_t room) {
  const std::size_t count = tokens.size();
  if (room == 0 || count < kLeastMatch + 1) return {};
  std::size_t best = 0;
  std::size_t best_end = 0;
  for (std::size_t end = count - 1; end >= kLeastMatch && best < kMostMatch; --end) {
    std::size_t match = 0;
    while (match < std::min(end, kMostMatch) &&
           tokens[end - 1 - match] == tokens[count - 1 - match])
      ++match;
    if (match > best) {
      best = match;
      best_end = end;
    }
  }
  if (best < kLeastMatch) return {};
  return tokens.subspan(best_end, std::min(room, count - best_end));
}

void DraftGovernor::Rate::add(double more_tokens, double more_seconds) {
  tokens = tokens * kMemory + more_tokens;
  seconds = seconds * kMemory + more_seconds;
  ++steps;
}

bool DraftGovernor::wants_draft() const {
  if (drafted_.steps < kLeastSteps) return true;
  if (plain_.steps < kLeastSteps) return false;
  if (drafted_.value() >= plain_.value()) return since_plain_ < kRetry;
  return since_draft_ >= kRetry;
}

void DraftGovernor::record(std::int64_t drafted, std::int64_t tokens, double seconds) {
  (drafted > 0 ? drafted_ : plain_).add(static_cast<double>(tokens), seconds);
  since_draft_ = drafted > 0 ? 0 : since_draft_ + 1;
  since_plain_ = drafted > 0 ? since_plain_ + 1 : 0;
}

}  // namespace strata
