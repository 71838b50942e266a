#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace strata::text {

/// What stands at one place of a byte string. A valid step is one whole code point; an invalid one
/// is the longest beginning of a sequence that cannot be completed (Unicode, section 3.9, table
/// 3-8).
struct Utf8Step {
  std::uint8_t length;  ///< bytes of the step, 1 to 4
  bool valid;           ///< the bytes are one well-formed sequence
  bool incomplete;      ///< the text ended inside a sequence that more bytes could complete
};

/// Classifies the bytes at `at`, which is less than text.size(). Rejects overlong forms, surrogates
/// and code points above U+10FFFF.
Utf8Step utf8_step(std::string_view text, std::size_t at);

/// The code point of a valid step.
char32_t utf8_decode(std::string_view text, std::size_t at, Utf8Step step);

/// Appends the UTF-8 form of a code point.
void append_utf8(std::string& out, char32_t code_point);

/// True when all of `text` is well-formed.
bool is_utf8(std::string_view text);

/// `text` with every byte that is part of no well-formed sequence replaced by U+FFFD.
std::string replace_bad_bytes(std::string_view text);

inline constexpr std::string_view kReplacementCharacter = "\xEF\xBF\xBD";  // U+FFFD
inline constexpr std::string_view kSpaceMarker = "\xE2\x96\x81";           // U+2581, SentencePiece

/// `text` with every occurrence of `from` (not empty) replaced by `to`.
std::string replace_all(std::string_view text, std::string_view from, std::string_view to);

/// `text` cut to `max_bytes` and made safe to print in a message.
std::string printable(std::string_view text, std::size_t max_bytes);

}  // namespace strata::text
