#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace strata::text {

/// The code point that stands for a byte in byte-level BPE vocabularies (GPT-2's alphabet): bytes
/// that print as Latin-1 characters stand for themselves, the others follow from U+0100 in order.
char32_t byte_to_alphabet(std::uint8_t byte);

/// The byte a code point of the alphabet stands for, or empty.
std::optional<std::uint8_t> alphabet_to_byte(char32_t code_point);

/// Raw bytes written in the alphabet, as UTF-8.
std::string to_byte_alphabet(std::string_view bytes);

/// The raw bytes of a text in the alphabet; empty when it holds anything else.
std::optional<std::string> from_byte_alphabet(std::string_view text);

}  // namespace strata::text
