#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "runtime/text/token.h"

namespace strata {

/// Tokens that may come next: those that followed the last tokens of a sequence where these stood
/// in it before (prompt lookup decoding, Saxena 2023). Of several places the latest that matches
/// the most tokens counts. At most `room`; empty where nothing matches. Points into `tokens`.
std::span<const text::TokenId> lookup_draft(std::span<const text::TokenId> tokens,
                                            std::size_t room);

/// Decides by measurement whether drafts pay: steps with a draft are longer, and give more tokens
/// where it was right. Compares tokens per second of both kinds of steps, the latest counting most,
/// and tries the other kind again from time to time. One thread.
class DraftGovernor {
 public:
  /// Whether the next step shall have a draft if there is one.
  bool wants_draft() const;
  /// A decoding step has ended: `drafted` tokens were proposed for it, `tokens` came out.
  void record(std::int64_t drafted, std::int64_t tokens, double seconds);

 private:
  struct Rate {
    double tokens = 0;
    double seconds = 0;
    std::int64_t steps = 0;
    double value() const { return seconds > 0 ? tokens / seconds : 0; }
    void add(double more_tokens, double more_seconds);
  };
  Rate plain_;
  Rate drafted_;
  std::int64_t since_draft_ = 0;  ///< steps since the last with a draft
  std::int64_t since_plain_ = 0;
};

}  // namespace strata
