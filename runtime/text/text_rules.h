#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "runtime/text/charsmap.h"
#include "runtime/text/normalizer.h"
#include "runtime/text/pretokenizer.h"
#include "runtime/text/token.h"

namespace strata::text {

/// A token that is looked for in texts before anything else (Hugging Face's added_tokens).
struct AddedToken {
  TokenId id = 0;
  std::string text;
  bool special = false;      ///< a control token: found only where these are parsed
  bool normalized = false;   ///< looked for in the normalized text, itself normalized
  bool strip_left = false;   ///< swallows the white space before it
  bool strip_right = false;  ///< and behind it
  bool single_word = false;  ///< not inside a word
};

/// A SplitRule that owns its pattern.
struct OwnedSplitRule {
  SplitKind kind;
  std::string pattern;
  bool invert = false;
  bool on_alphabet = false;
};

/// Where a marker goes in front of the text between added tokens.
enum class MarkerPrefix : std::uint8_t { never, first, always };

/// Two tokens that merge into a third. The place in the list is the rank.
struct TokenMerge {
  TokenId left;
  TokenId right;
  TokenId result;
};

/// How a Hugging Face directory says that texts become tokens and tokens texts: what a GGUF file
/// can only name (tokenizer.ggml.pre) stands here in full. Checked by the readers (hf_*.h): ids lie
/// in the vocabulary, patterns compile.
struct TextRules {
  std::vector<AddedToken> added;
  std::vector<TokenId> added_only;  ///< of these, those that text never merges to; ascending
  std::vector<TokenId> prefix;      ///< what encode(add_special) puts before a text
  std::vector<TokenId> suffix;      ///< and behind it
  std::vector<TokenId> end_of_generation;

  std::vector<NormalizerStep> normalizer;
  std::optional<SentencePieceRules> sentencepiece;  ///< instead of `normalizer` and all of BPE's
  MarkerPrefix sentencepiece_prefix = MarkerPrefix::always;

  // BPE.
  std::vector<OwnedSplitRule> splits;
  bool prefix_space = false;  ///< a space goes before a text that does not begin with one
  bool mark_spaces = false;   ///< spaces become U+2581 (Metaspace), with a prefix as this says:
  MarkerPrefix marker_prefix = MarkerPrefix::never;
  bool byte_level = true;  ///< tokens are spelled in the byte alphabet, else in UTF-8
  bool ignore_merges = false;
  bool byte_fallback = false;  ///< what is no token becomes "<0xHH>" tokens where there are all
  bool fuse_unknown = false;   ///< unknown characters side by side become one unknown token
  std::vector<TokenMerge> merges;

  // Texts of tokens.
  bool byte_tokens = false;        ///< "<0xHH>" prints that byte
  bool strip_first_space = false;  ///< of a text: for DecodeOptions::strip_first_space
};

}  // namespace strata::text
