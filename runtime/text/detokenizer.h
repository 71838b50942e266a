#pragma once

#include <memory>
#include <span>
#include <string>

#include "runtime/text/tokenizer.h"

namespace strata::text {

struct DecodeOptions {
  bool show_control = false;  ///< print control and unknown tokens as they are spelled
  /// Leave out the space that add_space_prefix puts before a text's first word: for what follows
  /// the begin-of-sequence token alone. Behind a prompt the space belongs to the text.
  bool strip_first_space = false;
};

/// Turns ids into text as they come, in well-formed UTF-8 only: a sequence that its tokens split is
/// held back until it is whole, and what can never become one prints as U+FFFD. For one thread.
class Detokenizer {
 public:
  explicit Detokenizer(std::shared_ptr<const Tokenizer> tokenizer, DecodeOptions options = {});

  /// The text that is certain once `id` has come; often empty. Throws Error{bad_request} for an id
  /// outside the vocabulary, and then nothing has changed.
  std::string push(TokenId id);

  /// What is left at the end: U+FFFD if a sequence was not completed. Ready for a new text after.
  std::string finish();

 private:
  std::shared_ptr<const Tokenizer> tokenizer_;
  DecodeOptions options_;
  bool first_ = true;
  std::string held_;  // at most 3 bytes: the beginning of a sequence
};

/// All of `ids` at once.
std::string decode(std::shared_ptr<const Tokenizer> tokenizer, std::span<const TokenId> ids,
                   DecodeOptions options = {});

}  // namespace strata::text
