#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "runtime/text/bpe.h"
#include "runtime/text/charsmap.h"
#include "runtime/text/normalizer.h"
#include "runtime/text/special_index.h"
#include "runtime/text/spm.h"
#include "runtime/text/text_rules.h"

namespace strata::text {

/// Encodes texts as a Hugging Face directory describes: added tokens are cut out, the rest is
/// normalized, marked, split and merged. Immutable, safe from any thread; borrows the vocabulary.
class RulesEncoder {
 public:
  /// Throws Error{bad_model} for a bad SentencePiece table.
  RulesEncoder(const Vocabulary& vocabulary, TextRules rules);

  /// Appends the tokens of `text`, any bytes; what is not UTF-8 counts as U+FFFD. `add_special`:
  /// with the tokens that the model wants around a text; `parse_special`: written-out special
  /// tokens become those tokens. A SentencePiece model without byte and unknown tokens is an
  /// Error{bad_model} where one would be needed; with BPE such a character is left out.
  void encode(std::string_view text, bool add_special, bool parse_special,
              std::vector<TokenId>& out) const;

  /// The normalized form of an added token that is looked for in normalized texts: what Hugging
  /// Face prints for it. Empty for other tokens.
  std::string_view normalized_text(TokenId id) const;

 private:
  void encode_fragment(std::string_view text, bool first, bool parse_special,
                       std::vector<TokenId>& out) const;
  void encode_plain(std::string_view text, bool first, std::vector<TokenId>& out) const;

  std::vector<AddedToken> normalized_tokens_;  // by id; their texts are normalized
  std::optional<TokenId> unknown_;
  std::vector<TokenId> prefix_;
  std::vector<TokenId> suffix_;
  SpecialIndex raw_;  // added tokens that are looked for in the text as it comes
  Normalizer normalizer_;
  SpecialIndex normalized_;  // and in what the normalizer makes of it
  bool prefix_space_;
  bool mark_spaces_;
  MarkerPrefix marker_prefix_;
  MarkerPrefix sentencepiece_prefix_;
  std::optional<SentencePieceNormalizer> sentencepiece_;
  std::optional<SpmEncoder> spm_;  // exactly one of the two
  std::optional<BpeEncoder> bpe_;
};

}  // namespace strata::text
