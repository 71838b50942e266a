#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/text/text_index.h"
#include "runtime/text/text_rules.h"
#include "runtime/text/token.h"

namespace strata::text {

/// A tokenizer as a model file holds it: raw and untrusted. Whoever reads the file fills this in;
/// an absent key is an empty optional, string or list. Key names: formats.md section 2.3.
struct VocabularyData {
  std::string model;                // tokenizer.ggml.model: "llama", "gpt2", "gemma4"
  std::string pre;                  // tokenizer.ggml.pre
  std::string name;                 // general.name: decides whether special tokens strip (Phi-3)
  std::vector<std::string> tokens;  // tokenizer.ggml.tokens
  std::vector<float> scores;        // tokenizer.ggml.scores
  std::vector<std::int32_t> types;  // tokenizer.ggml.token_type
  std::vector<std::string> merges;  // tokenizer.ggml.merges
#define STRATA_SPECIAL_ID(field, key) std::optional<std::int64_t> field;
#include "runtime/text/special_ids.def"
#undef STRATA_SPECIAL_ID
  std::optional<bool> add_bos;           // tokenizer.ggml.add_bos_token
  std::optional<bool> add_eos;           // tokenizer.ggml.add_eos_token
  std::optional<bool> add_space_prefix;  // tokenizer.ggml.add_space_prefix
  /// Of a Hugging Face directory: what these say goes, and `pre`, `merges` and the three flags do
  /// not count.
  std::optional<TextRules> rules;
};

/// The numbers of tokenizer.ggml.token_type.
enum class TokenType : std::uint8_t {
  normal = 1,
  unknown = 2,
  control = 3,
  user_defined = 4,
  unused = 5,
  byte = 6,
};

enum class TokenizerKind : std::uint8_t { sentencepiece, bpe };

/// The ids of tokens with a meaning; empty where the model has none.
struct SpecialIds {
#define STRATA_SPECIAL_ID(field, key) std::optional<TokenId> field;
#include "runtime/text/special_ids.def"
#undef STRATA_SPECIAL_ID
};

/// The tokens of a model, checked. Immutable, safe to read from any thread; owns its strings.
class Vocabulary {
 public:
  /// Checks `data` and takes its tokens, scores and types (merges and rules stay). Throws
  /// Error{bad_model} naming the key, or Error{unsupported_model} for a kind of tokenizer we do not
  /// have. Of equal tokens the first is the one that text becomes; an empty token is never made
  /// from text.
  explicit Vocabulary(VocabularyData& data);
  Vocabulary(const Vocabulary&) = delete;
  Vocabulary& operator=(const Vocabulary&) = delete;

  TokenizerKind kind() const { return kind_; }
  std::size_t size() const { return tokens_.size(); }
  bool contains(TokenId id) const { return id >= 0 && static_cast<std::size_t>(id) < size(); }

  /// The text of a token as the file spells it. `id` must be in the vocabulary, as below.
  std::string_view text(TokenId id) const { return tokens_[static_cast<std::size_t>(id)]; }
  TokenType type(TokenId id) const { return types_[static_cast<std::size_t>(id)]; }
  float score(TokenId id) const {
    return scores_.empty() ? 0 : scores_[static_cast<std::size_t>(id)];
  }

  /// The token spelled exactly so.
  std::optional<TokenId> find(std::string_view text) const { return ids_.find(text); }
  /// The token that stands for one byte as "<0xHH>", or (SentencePiece only) as that byte itself.
  std::optional<TokenId> find_byte(std::uint8_t byte) const;
  /// Bytes of the longest token.
  std::size_t longest_token_bytes() const { return longest_token_bytes_; }

  const SpecialIds& special() const { return special_; }
  /// Whether encode(add_special) puts these at the ends. The id is there whenever this says true.
  bool add_bos() const { return add_bos_; }
  bool add_eos() const { return add_eos_; }
  bool add_space_prefix() const { return add_space_prefix_; }

  /// True for each token after which generation ends. False for ids outside the vocabulary.
  bool is_end_of_generation(TokenId id) const;
  /// All of them, ascending.
  std::span<const TokenId> end_of_generation() const { return end_of_generation_; }

 private:
  void check_tokens(const std::vector<std::int32_t>& types);
  void read_special_ids(const VocabularyData& data);
  void apply_known_texts(bool keep_types);
  void read_flags(const VocabularyData& data, bool default_bos, bool force_bos);
  void read_rules(const TextRules& rules);
  void drop_end(std::string_view text, TokenType becomes);

  TokenizerKind kind_;
  std::vector<std::string> tokens_;
  std::vector<float> scores_;  // empty: all 0
  std::vector<TokenType> types_;
  TextIndex ids_;  // of tokens_
  std::size_t longest_token_bytes_ = 0;
  SpecialIds special_;
  std::vector<TokenId> end_of_generation_;
  bool add_bos_ = false;
  bool add_eos_ = false;
  bool add_space_prefix_ = false;
};

/// The value of a byte token's text, "<0xHH>" with two hexadecimal digits; empty for anything else.
std::optional<std::uint8_t> parse_byte_token(std::string_view text);

}  // namespace strata::text
