#include "runtime/text/vocabulary.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "runtime/core/error.h"
#include "runtime/text/pretokenizer.h"
#include "runtime/text/utf8.h"

namespace strata::text {
namespace {

constexpr std::size_t kMaxTokenBytes = 64 * 1024;  // far above any real token
constexpr std::size_t kMaxSpecialBytes = 1024;     // bounds the search for special tokens in texts

constexpr std::string_view kTokensKey = "tokenizer.ggml.tokens";

[[noreturn]] void bad(std::string_view key, std::string detail, std::string hint = {}) {
  throw Error(ErrorCode::bad_model, std::string(key), std::move(detail), std::move(hint));
}

TokenizerKind kind_of(const std::string& model) {
  if (model == "llama") return TokenizerKind::sentencepiece;
  if (model == "gpt2" || model == "gemma4") return TokenizerKind::bpe;
  throw Error(ErrorCode::unsupported_model, "tokenizer.ggml.model",
              fmt::format("tokenizer \"{}\" is not supported", printable(model, 64)),
              "supported: \"llama\" (SentencePiece BPE), \"gpt2\" (byte-level BPE), \"gemma4\"");
}

void check_length(std::string_view key, std::size_t length, std::size_t tokens) {
  if (length != 0 && length != tokens) {
    bad(key, fmt::format("{} entries for {} tokens", length, tokens));
  }
}

bool is_special(TokenType type) {
  return type == TokenType::control || type == TokenType::user_defined ||
         type == TokenType::unknown;
}

}  // namespace

std::optional<std::uint8_t> parse_byte_token(std::string_view text) {
  if (text.size() != 6 || !text.starts_with("<0x") || text[5] != '>') return std::nullopt;
  unsigned value = 0;
  for (const char c : text.substr(3, 2)) {
    value *= 16;
    if (c >= '0' && c <= '9') {
      value += static_cast<unsigned>(c - '0');
    } else if (c >= 'A' && c <= 'F') {
      value += static_cast<unsigned>(c - 'A') + 10;
    } else if (c >= 'a' && c <= 'f') {
      value += static_cast<unsigned>(c - 'a') + 10;
    } else {
      return std::nullopt;
    }
  }
  return static_cast<std::uint8_t>(value);
}

Vocabulary::Vocabulary(VocabularyData& data) : kind_(kind_of(data.model)) {
  tokens_ = std::move(data.tokens);
  scores_ = std::move(data.scores);
  const std::vector<std::int32_t> types = std::move(data.types);
  if (tokens_.empty()) bad(kTokensKey, "the vocabulary is missing or empty");
  if (tokens_.size() > std::numeric_limits<TokenId>::max()) {
    bad(kTokensKey, fmt::format("{} tokens do not fit 31-bit ids", tokens_.size()));
  }
  check_length("tokenizer.ggml.scores", scores_.size(), tokens_.size());
  check_length("tokenizer.ggml.token_type", types.size(), tokens_.size());
  for (std::size_t i = 0; i < scores_.size(); ++i) {
    if (std::isnan(scores_[i])) {
      bad("tokenizer.ggml.scores", fmt::format("the score of token {} is not a number", i));
    }
  }
  check_tokens(types);
  read_special_ids(data);
  if (data.rules) {
    end_of_generation_ = data.rules->end_of_generation;
    apply_known_texts(true);
    read_rules(*data.rules);
    return;
  }
  apply_known_texts(false);
  const bool bpe = kind_ == TokenizerKind::bpe;
  const PretokenizerInfo* info = bpe ? &pretokenizer_of(data.model, data.pre) : nullptr;
  read_flags(data, bpe ? info->add_bos != AddBos::no : true,
             bpe && info->add_bos == AddBos::always);
}

void Vocabulary::check_tokens(const std::vector<std::int32_t>& types) {
  types_.assign(tokens_.size(), TokenType::normal);
  ids_ = TextIndex(tokens_.size());
  for (std::size_t i = 0; i < tokens_.size(); ++i) {
    const std::string& token = tokens_[i];
    if (!types.empty()) {
      if (types[i] < 1 || types[i] > 6) {
        bad("tokenizer.ggml.token_type",
            fmt::format("token {} has type {}; types are 1 to 6", i, types[i]));
      }
      types_[i] = static_cast<TokenType>(types[i]);
    }
    const std::size_t limit = is_special(types_[i]) ? kMaxSpecialBytes : kMaxTokenBytes;
    if (token.size() > limit) {
      bad(kTokensKey, fmt::format("token {} has {} bytes, more than {}", i, token.size(), limit));
    }
    if (!is_utf8(token)) {
      bad(kTokensKey, fmt::format("token {} (\"{}\") is not UTF-8", i, printable(token, 32)));
    }
    if (types_[i] == TokenType::byte && !parse_byte_token(token)) {
      if (kind_ == TokenizerKind::bpe) {
        types_[i] = TokenType::normal;  // early converters of byte-level vocabularies wrote this
      } else {
        bad(kTokensKey,
            fmt::format("token {} (\"{}\") is of the byte type but not of the form <0xHH>", i,
                        printable(token, 32)));
      }
    }
    longest_token_bytes_ = std::max(longest_token_bytes_, token.size());
    if (!token.empty()) ids_.insert(token, static_cast<TokenId>(i));  // of equals the first
  }
}

void Vocabulary::read_special_ids(const VocabularyData& data) {
  const auto read = [this](std::string_view key, std::optional<std::int64_t> value,
                           std::optional<TokenId>& id) {
    if (!value) return;
    if (*value < 0 || static_cast<std::uint64_t>(*value) >= size()) {
      bad(key, fmt::format("id {} lies outside the vocabulary of {} tokens", *value, size()));
    }
    id = static_cast<TokenId>(*value);
  };
#define STRATA_SPECIAL_ID(field, key) read(key, data.field, special_.field);
#include "runtime/text/special_ids.def"
#undef STRATA_SPECIAL_ID
  if (kind_ != TokenizerKind::sentencepiece || data.rules) return;
  // SentencePiece numbers <unk>, <s>, </s> so, and old files leave the keys out.
  if (!special_.unknown) special_.unknown = 0;
  if (!special_.bos && size() > 1) special_.bos = 1;
  if (!special_.eos && size() > 2) special_.eos = 2;
}

// What a token means follows from its text where files say it wrongly or not at all. Hugging Face
// directories say which tokens are special (`keep_types`): among those only the meaning is added.
void Vocabulary::apply_known_texts(bool keep_types) {
  enum class Role { end, fim_end, fim, shown };
  static constexpr std::pair<Role, std::string_view> kTexts[] = {
#define STRATA_TOKEN_TEXT(role, text) {Role::role, text},
#include "runtime/text/token_texts.def"
#undef STRATA_TOKEN_TEXT
  };
  for (const auto& [role, text] : kTexts) {
    const auto id = find(text);
    if (!id || (keep_types && !is_special(type(*id)))) continue;
    if (!keep_types || role == Role::shown) {
      types_[static_cast<std::size_t>(*id)] =
          role == Role::shown ? TokenType::user_defined : TokenType::control;
    }
    if (role == Role::end || role == Role::fim_end) end_of_generation_.push_back(*id);
  }
  for (const auto& id : {special_.eos, special_.eot, special_.eom, special_.fim_padding,
                         special_.fim_repository, special_.fim_separator}) {
    if (id) end_of_generation_.push_back(*id);
  }
  std::sort(end_of_generation_.begin(), end_of_generation_.end());
  end_of_generation_.erase(std::unique(end_of_generation_.begin(), end_of_generation_.end()),
                           end_of_generation_.end());
  const auto ends = [this](std::string_view text) {
    const auto id = find(text);
    return id && is_end_of_generation(*id);
  };
  // In the Harmony format and Solar's, <|end|> closes one message of several. (llama.cpp too.)
  if ((ends("<|call|>") || ends("<|calls|>")) && (ends("<|return|>") || ends("<|flush|>"))) {
    drop_end("<|end|>", TokenType::user_defined);
  }
  // Gemma 4's vocabulary has an HTML tag spelled like the old end token.
  if (ends("<|tool_response>")) drop_end("</s>", TokenType::normal);
}

void Vocabulary::drop_end(std::string_view text, TokenType becomes) {
  const auto id = find(text);
  if (!id || std::erase(end_of_generation_, *id) == 0) return;
  types_[static_cast<std::size_t>(*id)] = becomes;
}

void Vocabulary::read_flags(const VocabularyData& data, bool default_bos, bool force_bos) {
  if (data.add_bos.value_or(false) && !special_.bos) {
    bad("tokenizer.ggml.add_bos_token", "is true, but tokenizer.ggml.bos_token_id is missing");
  }
  if (data.add_eos.value_or(false) && !special_.eos) {
    bad("tokenizer.ggml.add_eos_token", "is true, but tokenizer.ggml.eos_token_id is missing");
  }
  add_bos_ = (force_bos || data.add_bos.value_or(default_bos)) && special_.bos;
  add_eos_ = data.add_eos.value_or(false);
  add_space_prefix_ = kind_ == TokenizerKind::sentencepiece && data.add_space_prefix.value_or(true);
}

void Vocabulary::read_rules(const TextRules& rules) {
  const auto adds = [](const std::vector<TokenId>& ids, const std::optional<TokenId>& id) {
    return id && std::find(ids.begin(), ids.end(), *id) != ids.end();
  };
  add_bos_ = adds(rules.prefix, special_.bos);
  add_eos_ = adds(rules.suffix, special_.eos);
  add_space_prefix_ = rules.strip_first_space;
}

std::optional<TokenId> Vocabulary::find_byte(std::uint8_t byte) const {
  if (auto id = find(fmt::format("<0x{:02X}>", byte))) return id;
  if (auto id = find(fmt::format("<0x{:02x}>", byte))) return id;
  if (kind_ != TokenizerKind::sentencepiece) return std::nullopt;
  const char text = static_cast<char>(byte);
  return find(std::string_view(&text, 1));
}

bool Vocabulary::is_end_of_generation(TokenId id) const {
  return std::binary_search(end_of_generation_.begin(), end_of_generation_.end(), id);
}

}  // namespace strata::text
