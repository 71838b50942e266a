#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace strata::text {

/// How a SentencePiece model prepares texts: its normalizer_spec.
struct SentencePieceRules {
  std::string charsmap;  ///< precompiled_charsmap: see Charsmap; empty: nothing is replaced
  bool dummy_prefix = true;
  bool remove_extra_spaces = true;
};

/// SentencePiece's table of replacements: a double array of texts, and what stands for each.
/// Immutable.
class Charsmap {
 public:
  /// `bytes`: length of the double array (32 bits, little-endian), the array, the replacements.
  /// Throws Error{bad_model} with `subject`. Empty bytes: nothing is replaced.
  Charsmap(std::string_view bytes, const std::string& subject);

  struct Step {
    std::size_t length;     ///< bytes of the text that are replaced
    std::string_view text;  ///< by what; borrows the text or the table
  };
  /// What stands at the beginning of `text`, which is not empty: the longest entry of the table,
  /// or the character itself, or U+FFFD for a byte that is not UTF-8.
  Step step(std::string_view text) const;

 private:
  std::vector<std::uint32_t> units_;
  std::string replacements_;  // each ends with a zero byte
};

/// Prepares texts as SentencePiece does before it looks for pieces. Immutable.
class SentencePieceNormalizer {
 public:
  /// Throws as Charsmap.
  SentencePieceNormalizer(const SentencePieceRules& rules, const std::string& subject);

  /// `text` with the table's replacements and spaces turned into U+2581, one before it where
  /// `dummy_prefix` and the rules say so. Empty when nothing but dropped spaces was there.
  /// Throws as check_growth() (normalizer.h).
  std::string apply(std::string_view text, bool dummy_prefix) const;

 private:
  Charsmap charsmap_;
  bool dummy_prefix_;
  bool remove_extra_spaces_;
};

}  // namespace strata::text
