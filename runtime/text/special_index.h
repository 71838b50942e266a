#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "runtime/text/vocabulary.h"

namespace strata::text {

/// A stretch of text, or the special token that stood there.
struct Fragment {
  std::string_view text;  ///< empty for a token
  std::optional<TokenId> token;
};

/// Finds special tokens written out in texts. Of two that begin at one place the longer wins, and
/// an earlier one wins over a later. Immutable; borrows the vocabulary, which must outlive it.
class SpecialIndex {
 public:
  /// `strip_right`: most special tokens swallow the white space behind them (Phi-3).
  SpecialIndex(const Vocabulary& vocabulary, bool strip_right);

  /// Cuts `text` at user-defined tokens, and at control and unknown tokens too if `parse_special`.
  /// The fragments borrow `text`. Time: text.size() * the longest token that is met.
  std::vector<Fragment> partition(std::string_view text, bool parse_special) const;

 private:
  struct Entry {
    std::string_view text;
    TokenId id;
    bool user_defined;
    bool strip_right;
  };

  const Entry* longest_at(std::string_view text, std::size_t at, bool parse_special) const;

  std::vector<Entry> entries_;                 // by text
  std::array<std::uint32_t, 257> by_first_{};  // entries whose text begins with a byte
};

}  // namespace strata::text
