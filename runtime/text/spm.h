#pragma once

#include <array>
#include <optional>
#include <string_view>
#include <vector>

#include "runtime/text/vocabulary.h"

namespace strata::text {

/// SentencePiece BPE (tokenizer.ggml.model "llama"): the pair of neighbours whose join is the token
/// of the best score is merged until none is left; characters that are no token become their bytes
/// "<0xHH>", or the unknown token. Immutable, safe from any thread; borrows the vocabulary.
class SpmEncoder {
 public:
  explicit SpmEncoder(const Vocabulary& vocabulary);

  /// Appends the tokens of `text`, whose spaces the caller has turned into U+2581. Bytes that are
  /// not UTF-8 stay what they are. Throws Error{bad_model} if a byte has no token and the
  /// vocabulary no unknown token.
  void encode(std::string_view text, std::vector<TokenId>& out) const;

 private:
  void emit_bytes(std::string_view bytes, std::vector<TokenId>& out) const;

  const Vocabulary& vocabulary_;
  std::array<std::optional<TokenId>, 256> byte_tokens_;
};

}  // namespace strata::text
