#include "runtime/text/tokenizer.h"

#include <fmt/format.h>

#include <algorithm>

#include "runtime/core/error.h"
#include "runtime/text/byte_alphabet.h"
#include "runtime/text/utf8.h"

namespace strata::text {
namespace {

constexpr std::size_t kMaxTextBytes = std::size_t{1} << 30;

// Phi-3's special tokens swallow the white space behind them, and no key says so.
bool special_tokens_strip(std::string name) {
  std::transform(name.begin(), name.end(), name.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  });
  return name.find("phi-3") != std::string::npos || name.find("phi3") != std::string::npos;
}

}  // namespace

std::shared_ptr<const Tokenizer> Tokenizer::create(VocabularyData data) {
  return std::shared_ptr<const Tokenizer>(new Tokenizer(data));
}

Tokenizer::Tokenizer(VocabularyData& data)
    : vocabulary_(data), special_(vocabulary_, special_tokens_strip(data.name)) {
  if (data.rules) {
    marked_spaces_ = data.rules->sentencepiece || !data.rules->byte_level;
    rules_.emplace(vocabulary_, *std::move(data.rules));
  } else if (vocabulary_.kind() == TokenizerKind::sentencepiece) {
    spm_.emplace(vocabulary_);
  } else {
    const PretokenizerInfo& info = pretokenizer_of(data.model, data.pre);
    bpe_.emplace(vocabulary_, info, data.merges);
    marked_spaces_ = info.escape_spaces;
  }
}

std::vector<TokenId> Tokenizer::encode(std::string_view text, EncodeOptions options) const {
  if (text.size() > kMaxTextBytes) {
    throw Error(ErrorCode::bad_request, "prompt",
                fmt::format("{} bytes are more than {}", text.size(), kMaxTextBytes));
  }
  std::vector<TokenId> out;
  if (rules_) {
    rules_->encode(text, options.add_special, options.parse_special, out);
    return out;
  }
  if (options.add_special && vocabulary_.add_bos()) out.push_back(*vocabulary_.special().bos);
  // SentencePiece sees a space before the first word and before a word behind a special token.
  bool after_special = true;
  for (const Fragment& fragment : special_.partition(text, options.parse_special)) {
    if (fragment.token) {
      out.push_back(*fragment.token);
      after_special = true;
    } else if (bpe_) {
      bpe_->encode(fragment.text, out);
    } else {
      std::string marked(vocabulary_.add_space_prefix() && after_special ? kSpaceMarker : "");
      marked += replace_all(fragment.text, " ", kSpaceMarker);
      spm_->encode(marked, out);
      after_special = false;
    }
  }
  if (options.add_special && vocabulary_.add_eos()) out.push_back(*vocabulary_.special().eos);
  return out;
}

std::string Tokenizer::token_bytes(TokenId id, bool show_control) const {
  if (!vocabulary_.contains(id)) {
    throw Error(ErrorCode::bad_request, "token id",
                fmt::format("{} lies outside the vocabulary of {} tokens", id, vocabulary_.size()));
  }
  switch (vocabulary_.type(id)) {
    case TokenType::control:
    case TokenType::unknown:
      return show_control ? spelled_bytes(id) : std::string();
    case TokenType::user_defined:
      return spelled_bytes(id);
    case TokenType::unused:
      return {};
    case TokenType::byte: {
      const auto byte = parse_byte_token(vocabulary_.text(id));
      return std::string(1, static_cast<char>(byte.value_or(0)));  // Vocabulary checked the form
    }
    case TokenType::normal:
      break;
  }
  return plain_bytes(vocabulary_.text(id));
}

// Special tokens print as they are spelled; Hugging Face's go through the decoder like any other.
std::string Tokenizer::spelled_bytes(TokenId id) const {
  if (!rules_) return std::string(vocabulary_.text(id));
  const std::string_view normalized = rules_->normalized_text(id);
  return plain_bytes(normalized.empty() ? vocabulary_.text(id) : normalized);
}

std::string Tokenizer::plain_bytes(std::string_view text) const {
  if (marked_spaces_) return replace_all(text, kSpaceMarker, " ");
  // A token that strays from the byte alphabet prints as it is spelled.
  return from_byte_alphabet(text).value_or(std::string(text));
}

}  // namespace strata::text
