#include "runtime/text/spm.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>

#include "runtime/core/error.h"
#include "runtime/text/merge_queue.h"

namespace strata::text {
namespace {

// Numbers that ascend as scores descend. Scores are not NaN.
std::uint32_t order_of(float score) {
  const auto bits = std::bit_cast<std::uint32_t>(score + 0.0f);  // -0 and 0 are equal
  const std::uint32_t ascending = bits & 0x80000000U ? ~bits : bits | 0x80000000U;
  return ~ascending;
}

// A character's bytes by its first byte alone, as SentencePiece does: bad bytes are kept together
// with what their lead byte claims.
std::uint32_t claimed_length(char first) {
  const auto byte = static_cast<unsigned char>(first);
  if (byte < 0xC0) return 1;
  if (byte < 0xE0) return 2;
  return byte < 0xF0 ? 3 : 4;
}

}  // namespace

SpmEncoder::SpmEncoder(const Vocabulary& vocabulary) : vocabulary_(vocabulary) {
  for (unsigned byte = 0; byte < 256; ++byte) {
    byte_tokens_[byte] = vocabulary.find_byte(static_cast<std::uint8_t>(byte));
  }
}

void SpmEncoder::encode(std::string_view text, std::vector<TokenId>& out) const {
  std::vector<Symbol> symbols;
  for (std::uint32_t at = 0; at < text.size();) {
    const auto left = static_cast<std::uint32_t>(text.size()) - at;
    const std::uint32_t length = std::min(claimed_length(text[at]), left);
    const auto id = vocabulary_.find(text.substr(at, length));
    symbols.push_back({at, length, -1, -1, id.value_or(-1), kNoPair, -1});
    at += length;
  }
  link_symbols(symbols);
  MergeQueue queue;
  merge_symbols(symbols, queue, [&](const Symbol& left, const Symbol& right) {
    const std::size_t bytes = std::size_t{left.length} + right.length;
    std::optional<TokenId> id;
    if (bytes <= vocabulary_.longest_token_bytes()) {
      id = vocabulary_.find(text.substr(left.begin, bytes));
    }
    return id ? std::pair(order_of(vocabulary_.score(*id)), *id) : std::pair(kNoPair, TokenId{-1});
  });
  for (const Symbol& symbol : symbols) {
    if (symbol.length == 0) continue;
    if (symbol.value >= 0) {
      out.push_back(symbol.value);
    } else {
      emit_bytes(text.substr(symbol.begin, symbol.length), out);
    }
  }
}

void SpmEncoder::emit_bytes(std::string_view bytes, std::vector<TokenId>& out) const {
  const auto has_token = [this](char c) {
    return byte_tokens_[static_cast<unsigned char>(c)].has_value();
  };
  if (std::all_of(bytes.begin(), bytes.end(), has_token)) {
    for (const char c : bytes) out.push_back(*byte_tokens_[static_cast<unsigned char>(c)]);
    return;
  }
  const auto unknown = vocabulary_.special().unknown;
  if (!unknown) {
    throw Error(ErrorCode::bad_model, "tokenizer.ggml.tokens",
                fmt::format("no token stands for byte 0x{:02X}, and there is no unknown token",
                            static_cast<unsigned char>(bytes.front())));
  }
  out.push_back(*unknown);  // one for the character, as SentencePiece without byte fallback
}

}  // namespace strata::text
