#include "runtime/text/byte_alphabet.h"

#include <array>

#include "runtime/text/utf8.h"

namespace strata::text {
namespace {

struct Alphabet {
  std::array<char32_t, 256> of_byte{};
  std::array<std::int16_t, 512> to_byte{};
};

constexpr bool stands_for_itself(unsigned byte) {
  return (byte >= 0x21 && byte <= 0x7E) || (byte >= 0xA1 && byte <= 0xAC) || byte >= 0xAE;
}

constexpr Alphabet make_alphabet() {
  Alphabet a;
  a.to_byte.fill(-1);
  char32_t next = 256;
  for (unsigned byte = 0; byte < 256; ++byte) {
    a.of_byte[byte] = stands_for_itself(byte) ? static_cast<char32_t>(byte) : next++;
    a.to_byte[a.of_byte[byte]] = static_cast<std::int16_t>(byte);
  }
  return a;
}

constexpr Alphabet kAlphabet = make_alphabet();

}  // namespace

char32_t byte_to_alphabet(std::uint8_t byte) { return kAlphabet.of_byte[byte]; }

std::optional<std::uint8_t> alphabet_to_byte(char32_t code_point) {
  if (code_point >= kAlphabet.to_byte.size() || kAlphabet.to_byte[code_point] < 0) return {};
  return static_cast<std::uint8_t>(kAlphabet.to_byte[code_point]);
}

std::string to_byte_alphabet(std::string_view bytes) {
  std::string out;
  out.reserve(bytes.size() + bytes.size() / 2);
  for (const char c : bytes) append_utf8(out, byte_to_alphabet(static_cast<std::uint8_t>(c)));
  return out;
}

std::optional<std::string> from_byte_alphabet(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t at = 0; at < text.size();) {
    const Utf8Step step = utf8_step(text, at);
    if (!step.valid) return std::nullopt;
    const auto byte = alphabet_to_byte(utf8_decode(text, at, step));
    if (!byte) return std::nullopt;
    out.push_back(static_cast<char>(*byte));
    at += step.length;
  }
  return out;
}

}  // namespace strata::text
