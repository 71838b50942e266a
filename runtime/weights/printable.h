#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace strata {

/// True when `text` is well-formed UTF-8: no overlong form, surrogate or value above U+10FFFF.
bool is_utf8(std::string_view text);

/// Untrusted text for a message: at most `limit` bytes, then "..."; control characters and, where
/// the text is not UTF-8, all bytes above 0x7f are written as \xNN.
std::string printable(std::string_view text, std::size_t limit = 80);

}  // namespace strata
