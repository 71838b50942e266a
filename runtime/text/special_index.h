#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/text/regex.h"
#include "runtime/text/text_rules.h"
#include "runtime/text/vocabulary.h"

namespace strata::text {

/// A stretch of text, or the special token that stood there.
struct Fragment {
  std::string_view text;  ///< empty for a token
  std::optional<TokenId> token;
};

/// Finds special tokens written out in texts. Of two that begin at one place the longer wins, and
/// an earlier one wins over a later. Immutable.
class SpecialIndex {
 public:
  /// `strip_right`: most special tokens swallow the white space behind them (Phi-3).
  SpecialIndex(const Vocabulary& vocabulary, bool strip_right);

  /// Of a Hugging Face directory's tokens, with their flags; white space is Unicode's.
  explicit SpecialIndex(std::span<const AddedToken> tokens);

  bool empty() const { return entries_.empty(); }

  /// Cuts `text` at user-defined tokens, and at control and unknown tokens too if `parse_special`.
  /// The fragments borrow `text`. Time: text.size() * the longest token that is met.
  std::vector<Fragment> partition(std::string_view text, bool parse_special) const;

 private:
  struct Entry {
    std::string text;
    TokenId id;
    bool user_defined;
    bool strip_left;
    bool strip_right;
    bool single_word;
  };

  void sort_entries();
  bool inside_word(std::string_view text, std::size_t begin, std::size_t end) const;
  std::size_t spaces_before(std::string_view text) const;
  std::size_t spaces_behind(std::string_view text) const;

  const Entry* longest_at(std::string_view text, std::size_t at, bool parse_special) const;

  std::vector<Entry> entries_;                 // by text
  std::array<std::uint32_t, 257> by_first_{};  // entries whose text begins with a byte
  bool unicode_spaces_ = false;
  std::optional<Regex> word_;  // a character of a word, where a token asks for it
};

}  // namespace strata::text
