#include "runtime/text/detokenizer.h"

#include <utility>

#include "runtime/text/utf8.h"

namespace strata::text {

Detokenizer::Detokenizer(std::shared_ptr<const Tokenizer> tokenizer, DecodeOptions options)
    : tokenizer_(std::move(tokenizer)), options_(options) {}

std::string Detokenizer::push(TokenId id) {
  std::string bytes = tokenizer_->token_bytes(id, options_.show_control);
  if (std::exchange(first_, false) && options_.strip_first_space &&
      tokenizer_->vocabulary().add_space_prefix() && bytes.starts_with(' ')) {
    bytes.erase(0, 1);
  }
  held_ += bytes;
  std::string out;
  std::size_t at = 0;
  while (at < held_.size()) {
    const Utf8Step step = utf8_step(held_, at);
    if (step.incomplete) break;
    out.append(step.valid ? std::string_view(held_).substr(at, step.length)
                          : kReplacementCharacter);
    at += step.length;
  }
  held_.erase(0, at);
  return out;
}

std::string Detokenizer::finish() {
  first_ = true;
  return std::exchange(held_, {}).empty() ? std::string() : std::string(kReplacementCharacter);
}

std::string decode(std::shared_ptr<const Tokenizer> tokenizer, std::span<const TokenId> ids,
                   DecodeOptions options) {
  Detokenizer detokenizer(std::move(tokenizer), options);
  std::string text;
  for (const TokenId id : ids) text += detokenizer.push(id);
  return text + detokenizer.finish();
}

}  // namespace strata::text
