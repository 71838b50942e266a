#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/text/regex.h"

namespace strata::text {

/// What a rule does with each match of its pattern.
enum class SplitKind : std::uint8_t {
  isolate,        ///< the match is a piece of its own
  thirds,         ///< as isolate, and the match is cut into groups of three counted from its end
  thirds_inside,  ///< only the cuts between and before groups of three, not at the match's end
  contiguous,     ///< as isolate, and matches that touch stay together
  with_previous,  ///< the match ends the piece before it
  with_next       ///< the match begins the piece behind it
};

struct SplitRule {
  SplitKind kind;
  std::string_view pattern;  ///< PCRE2 syntax, UTF-8; \s and \S mean Unicode White_Space
  bool invert = false;       ///< what does not match counts as the match
  /// The rule sees the piece written in the byte alphabet (byte_alphabet.h), as the steps behind
  /// Hugging Face's ByteLevel do. All rules behind such a rule do too.
  bool on_alphabet = false;
};

/// Whether a begin-of-sequence token is added when the model file does not say.
enum class AddBos : std::uint8_t {
  no,
  yes,
  always  ///< even if the file says no, as llama.cpp does for Gemma 4
};

/// One row of pretokenizers.inc: all that a value of tokenizer.ggml.pre decides.
struct PretokenizerInfo {
  std::string_view name;
  std::span<const SplitRule> rules;
  AddBos add_bos = AddBos::no;
  bool ignore_merges = false;   ///< a piece that is a token becomes it, whatever the merges say
  bool escape_spaces = false;   ///< spaces become U+2581 and tokens are plain UTF-8, not bytes
  bool newline_pieces = false;  ///< as ignore_merges, for pieces of nothing but newlines
};

/// The row for a model's tokenizer.ggml.model and .pre; an empty name is "default". Throws
/// Error{bad_model} that lists the known names.
const PretokenizerInfo& pretokenizer_of(std::string_view model, std::string_view pre);

/// All names, sorted.
std::vector<std::string_view> pretokenizer_names();

/// Cuts a text into the pieces that BPE merges stay within, by rules applied in order, each within
/// the pieces of those before it. Immutable; split() may be called from any thread. An empty match
/// cuts at its place.
class Pretokenizer {
 public:
  /// Compiles the rules and keeps nothing of them. `jit` as in Regex.
  explicit Pretokenizer(std::span<const SplitRule> rules, bool jit = true);

  /// The ends of the pieces of `text` (well-formed UTF-8), ascending, the last at text.size(); none
  /// for an empty text. Throws Error{runtime} if a match exceeds PCRE2's work limit. Rules on the
  /// byte alphabet may cut inside a character.
  std::vector<std::size_t> split(std::string_view text) const;

 private:
  struct Compiled {
    SplitKind kind;
    bool invert;
    bool on_alphabet;
    Regex regex;
  };
  std::vector<Compiled> rules_;
};

}  // namespace strata::text
