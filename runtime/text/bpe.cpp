#include "runtime/text/bpe.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>

#include "runtime/core/error.h"
#include "runtime/text/byte_alphabet.h"
#include "runtime/text/utf8.h"

namespace strata::text {
namespace {

constexpr std::string_view kMergesKey = "tokenizer.ggml.merges";

std::uint64_t pair_key(std::int32_t left, std::int32_t right) {
  return (std::uint64_t{static_cast<std::uint32_t>(left)} << 32) |
         static_cast<std::uint32_t>(right);
}

std::vector<SplitRule> views_of(const std::vector<OwnedSplitRule>& rules) {
  std::vector<SplitRule> views;
  for (const OwnedSplitRule& rule : rules) {
    views.push_back({rule.kind, rule.pattern, rule.invert, rule.on_alphabet});
  }
  return views;
}

}  // namespace

BpeEncoder::BpeEncoder(const Vocabulary& vocabulary, const PretokenizerInfo& info,
                       std::span<const std::string> merges)
    : vocabulary_(vocabulary),
      options_{.byte_level = !info.escape_spaces,
               .escape_spaces = info.escape_spaces,
               .ignore_merges = info.ignore_merges,
               .newline_pieces = info.newline_pieces},
      pretokenizer_(info.rules),
      merges_(merges.size()) {
  if (merges.empty()) {
    throw Error(ErrorCode::bad_model, std::string(kMergesKey), "the merges are missing or empty",
                "convert the model again: without merges every text becomes single bytes");
  }
  const auto limit = static_cast<std::size_t>(std::numeric_limits<std::int32_t>::max());
  if (vocabulary.size() + 3 * merges.size() > limit) {
    throw Error(ErrorCode::bad_model, std::string(kMergesKey),
                fmt::format("{} merges are too many", merges.size()));
  }
  std::string joined;
  for (std::size_t rank = 0; rank < merges.size(); ++rank) {
    const std::string& merge = merges[rank];
    const std::size_t space = merge.find(' ', 1);  // a left part may begin with a space itself
    if (space == std::string::npos || space + 1 == merge.size()) {
      throw Error(ErrorCode::bad_model, std::string(kMergesKey),
                  fmt::format("merge {} (\"{}\") is not two texts with a space between them", rank,
                              printable(merge, 32)));
    }
    joined.assign(merge, 0, space).append(merge, space + 1);
    const std::int32_t left = intern(std::string_view(merge).substr(0, space));
    const std::int32_t right = intern(std::string_view(merge).substr(space + 1));
    merges_.insert(pair_key(left, right), {static_cast<std::uint32_t>(rank), intern(joined)});
  }
  find_byte_tokens(true);
}

BpeEncoder::BpeEncoder(const Vocabulary& vocabulary, const TextRules& rules)
    : vocabulary_(vocabulary),
      options_{.byte_level = rules.byte_level,
               .ignore_merges = rules.ignore_merges,
               .characters = true,
               .fuse_unknown = rules.fuse_unknown},
      pretokenizer_(views_of(rules.splits)),
      merges_(rules.merges.size()),
      hidden_(rules.added_only) {
  // Of equal pairs the last one counts in Hugging Face's map, the first one in ours.
  for (std::size_t rank = rules.merges.size(); rank-- > 0;) {
    const TokenMerge& merge = rules.merges[rank];
    merges_.insert(pair_key(merge.left, merge.right),
                   {static_cast<std::uint32_t>(rank), merge.result});
  }
  find_byte_tokens(rules.byte_fallback);
}

// `fallback`: whether characters that are no token may be spelled in bytes.
void BpeEncoder::find_byte_tokens(bool fallback) {
  for (unsigned byte = 0; byte < 256; ++byte) {
    std::string character;
    append_utf8(character, byte_to_alphabet(static_cast<std::uint8_t>(byte)));
    byte_values_[byte] = value_of(character).value_or(-1);
    if (options_.byte_level) {
      byte_tokens_[byte] = find_token(character);
    } else if (fallback) {
      byte_tokens_[byte] = vocabulary_.find_byte(static_cast<std::uint8_t>(byte));
    }
  }
}

std::optional<TokenId> BpeEncoder::find_token(std::string_view text) const {
  const auto id = vocabulary_.find(text);
  if (id && std::binary_search(hidden_.begin(), hidden_.end(), *id)) return std::nullopt;
  return id;
}

std::optional<std::int32_t> BpeEncoder::value_of(std::string_view text) const {
  if (const auto id = find_token(text)) return *id;
  return extra_.find(text);
}

std::int32_t BpeEncoder::intern(std::string_view text) {
  if (const auto known = value_of(text)) return *known;
  const auto fresh = static_cast<std::int32_t>(vocabulary_.size() + extra_.size());
  extra_.insert(extra_texts_.emplace_back(text), fresh);
  return fresh;
}

void BpeEncoder::encode(std::string_view text, std::vector<TokenId>& out) const {
  std::string clean;
  if (options_.escape_spaces) {
    clean = replace_all(replace_bad_bytes(text), " ", kSpaceMarker);
    text = clean;
  } else if (!is_utf8(text)) {
    clean = replace_bad_bytes(text);
    text = clean;
  }
  Scratch scratch;
  std::size_t begin = 0;
  for (const std::size_t end : pretokenizer_.split(text)) {
    encode_piece(text.substr(begin, end - begin), scratch, out);
    begin = end;
  }
}

std::optional<TokenId> BpeEncoder::whole_token(std::string_view piece) const {
  const bool wanted =
      options_.ignore_merges ||
      (options_.newline_pieces && piece.find_first_not_of('\n') == std::string_view::npos);
  if (!wanted || piece.size() > vocabulary_.longest_token_bytes()) return std::nullopt;
  return find_token(options_.byte_level ? to_byte_alphabet(piece) : std::string(piece));
}

void BpeEncoder::make_symbols(std::string_view piece, std::vector<Symbol>& symbols) const {
  symbols.clear();
  for (std::uint32_t at = 0; at < piece.size();) {
    std::uint32_t length = 1;
    std::int32_t value = -1;
    if (!options_.byte_level) {
      length = utf8_step(piece, at).length;
      value = value_of(piece.substr(at, length)).value_or(-1);
    } else {
      value = byte_values_[static_cast<unsigned char>(piece[at])];
    }
    symbols.push_back({at, length, -1, -1, value, kNoPair, -1});
    at += length;
  }
  link_symbols(symbols);
}

void BpeEncoder::encode_piece(std::string_view piece, Scratch& scratch,
                              std::vector<TokenId>& out) const {
  if (const auto id = whole_token(piece)) {
    out.push_back(*id);
    return;
  }
  make_symbols(piece, scratch.symbols);
  merge_symbols(scratch.symbols, scratch.queue, [this](const Symbol& left, const Symbol& right) {
    const Merge* merge = nullptr;
    if (left.value >= 0 && right.value >= 0)
      merge = merges_.find(pair_key(left.value, right.value));
    return merge ? std::pair(merge->rank, merge->value) : std::pair(kNoPair, std::int32_t{-1});
  });
  bool after_unknown = false;
  for (const Symbol& symbol : scratch.symbols) {
    if (symbol.length == 0) continue;
    if (vocabulary_.contains(symbol.value)) {
      out.push_back(symbol.value);
      after_unknown = false;
    } else if (options_.characters) {
      after_unknown = emit_character(piece.substr(symbol.begin, symbol.length), after_unknown, out);
    } else {
      emit_bytes(piece.substr(symbol.begin, symbol.length), out);
    }
  }
}

// As Hugging Face's BPE: all bytes of the character have tokens, or it is unknown as a whole, or,
// without an unknown token, not there. (Falcon has no tokens for some bytes.) Returns whether it
// is unknown.
bool BpeEncoder::emit_character(std::string_view bytes, bool after_unknown,
                                std::vector<TokenId>& out) const {
  const auto has_token = [this](char c) {
    return byte_tokens_[static_cast<unsigned char>(c)].has_value();
  };
  if (std::all_of(bytes.begin(), bytes.end(), has_token)) {
    emit_bytes(bytes, out);
    return false;
  }
  const auto unknown = vocabulary_.special().unknown;
  if (!unknown) return after_unknown;
  if (!after_unknown || !options_.fuse_unknown) out.push_back(*unknown);
  return true;
}

void BpeEncoder::emit_bytes(std::string_view bytes, std::vector<TokenId>& out) const {
  for (const char c : bytes) {
    const auto byte = static_cast<unsigned char>(c);
    const auto id = byte_tokens_[byte] ? byte_tokens_[byte] : vocabulary_.special().unknown;
    if (!id) {
      throw Error(
          ErrorCode::bad_model, "tokenizer.ggml.tokens",
          fmt::format("no token stands for byte 0x{:02X}, and there is no unknown token", byte));
    }
    out.push_back(*id);
  }
}

}  // namespace strata::text
