#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/text/bpe.h"
#include "runtime/text/rules_encoder.h"
#include "runtime/text/special_index.h"
#include "runtime/text/spm.h"
#include "runtime/text/vocabulary.h"

namespace strata::text {

struct EncodeOptions {
  bool add_special = true;    ///< begin- and end-of-sequence tokens where the model wants them
  bool parse_special = true;  ///< written-out control tokens ("<|im_end|>") become those tokens
};

/// Texts to token ids and back, as llama.cpp does for GGUF files and Hugging Face's tokenizers for
/// their directories. Immutable: every member function
/// may be called from any thread at once. Made by create() only, because the parts borrow the
/// vocabulary.
class Tokenizer {
 public:
  /// Throws Error{bad_model} or Error{unsupported_model} naming the key that is wrong.
  static std::shared_ptr<const Tokenizer> create(VocabularyData data);
  Tokenizer(const Tokenizer&) = delete;
  Tokenizer& operator=(const Tokenizer&) = delete;

  /// The ids of `text`: any bytes, at most 2^30 of them (else Error{bad_request}). User-defined
  /// tokens are found whatever the options say. Time: O(n log n).
  std::vector<TokenId> encode(std::string_view text, EncodeOptions options = {}) const;

  /// The bytes a token prints, which may be a part of a UTF-8 sequence: control and unknown tokens
  /// print their text if `show_control`, else nothing; unused ones nothing. Throws
  /// Error{bad_request} for an id outside the vocabulary.
  std::string token_bytes(TokenId id, bool show_control = true) const;

  const Vocabulary& vocabulary() const { return vocabulary_; }
  bool is_end_of_generation(TokenId id) const { return vocabulary_.is_end_of_generation(id); }

 private:
  explicit Tokenizer(VocabularyData& data);

  std::string plain_bytes(std::string_view text) const;
  std::string spelled_bytes(TokenId id) const;

  Vocabulary vocabulary_;
  SpecialIndex special_;
  std::optional<SpmEncoder> spm_;  // exactly one of the three
  std::optional<BpeEncoder> bpe_;
  std::optional<RulesEncoder> rules_;
  bool marked_spaces_ = true;  // tokens spell a space as U+2581
};

}  // namespace strata::text
