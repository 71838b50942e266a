#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/text/flat_map.h"
#include "runtime/text/merge_queue.h"
#include "runtime/text/pretokenizer.h"
#include "runtime/text/text_index.h"
#include "runtime/text/vocabulary.h"

namespace strata::text {

/// BPE with ranked merges (tokenizer.ggml.model "gpt2", and "gemma4" on plain UTF-8): texts are cut
/// by the pre-tokenizer, and within each piece the pair of the lowest rank is merged until none is
/// left. Immutable, safe from any thread; borrows the vocabulary, which must outlive it.
class BpeEncoder {
 public:
  /// Throws Error{bad_model} for merges that are missing or not of the form "left right". A merge
  /// may join or make texts that are no tokens; what is no token in the end is spelled in bytes.
  BpeEncoder(const Vocabulary& vocabulary, const PretokenizerInfo& info,
             std::span<const std::string> merges);
  /// Of a Hugging Face directory: a character that has neither tokens nor an unknown token is left
  /// out, as Hugging Face does. The caller has checked that the rules' ids lie in the vocabulary.
  BpeEncoder(const Vocabulary& vocabulary, const TextRules& rules);

  /// Appends the tokens of `text`; bytes that are not UTF-8 count as U+FFFD. Throws
  /// Error{bad_model} if a byte has no token and the vocabulary no unknown token.
  void encode(std::string_view text, std::vector<TokenId>& out) const;

 private:
  struct Options {
    bool byte_level = true;  // symbols are bytes spelled in the alphabet, else characters
    bool escape_spaces = false;
    bool ignore_merges = false;
    bool newline_pieces = false;
    bool characters = false;  // what is no token is one unknown token a character, not a byte
    bool fuse_unknown = false;
  };
  struct Merge {
    std::uint32_t rank;
    std::int32_t value;
  };
  struct Scratch {
    std::vector<Symbol> symbols;
    MergeQueue queue;
  };

  void encode_piece(std::string_view piece, Scratch& scratch, std::vector<TokenId>& out) const;
  void make_symbols(std::string_view piece, std::vector<Symbol>& symbols) const;
  void emit_bytes(std::string_view bytes, std::vector<TokenId>& out) const;
  bool emit_character(std::string_view bytes, bool after_unknown, std::vector<TokenId>& out) const;
  void find_byte_tokens(bool fallback);
  std::optional<TokenId> find_token(std::string_view text) const;
  std::optional<TokenId> whole_token(std::string_view piece) const;

  // A text that tokens or merges name has one value: its token id, or a number past the vocabulary.
  std::optional<std::int32_t> value_of(std::string_view text) const;
  std::int32_t intern(std::string_view text);

  const Vocabulary& vocabulary_;
  Options options_;
  Pretokenizer pretokenizer_;
  std::deque<std::string> extra_texts_;        // texts of merges that are no tokens
  TextIndex extra_;                            // their values
  FlatMap<Merge> merges_;                      // by (left value, right value)
  std::vector<TokenId> hidden_;                // ascending: tokens that text never merges to
  std::array<std::int32_t, 256> byte_values_;  // of the alphabet's characters
  std::array<std::optional<TokenId>, 256> byte_tokens_;
};

}  // namespace strata::text
