#include "runtime/weights/printable.h"

#include <fmt/format.h>

namespace strata {
namespace {

/// Length of the UTF-8 sequence at the start of `text`, or 0 when there is none. The ranges of the
/// second byte are those of Unicode 15, table 3-7.
std::size_t sequence_length(std::string_view text) {
  auto at = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  auto tail = [&](std::size_t i) { return i < text.size() && (at(i) & 0xc0u) == 0x80u; };
  const unsigned char first = at(0);
  if (first < 0x80) return 1;
  if (first < 0xc2 || first > 0xf4) return 0;
  if (!tail(1)) return 0;
  if (first < 0xe0) return 2;
  const unsigned char second = at(1);
  if (first == 0xe0 && second < 0xa0) return 0;
  if (first == 0xed && second > 0x9f) return 0;
  if (first == 0xf0 && second < 0x90) return 0;
  if (first == 0xf4 && second > 0x8f) return 0;
  if (!tail(2)) return 0;
  if (first < 0xf0) return 3;
  return tail(3) ? 4 : 0;
}

}  // namespace

bool is_utf8(std::string_view text) {
  while (!text.empty()) {
    const std::size_t length = sequence_length(text);
    if (length == 0) return false;
    text.remove_prefix(length);
  }
  return true;
}

std::string printable(std::string_view text, std::size_t limit) {
  std::string out;
  while (!text.empty()) {
    const std::size_t length = sequence_length(text);
    const auto first = static_cast<unsigned char>(text[0]);
    std::string piece = length == 0 || first < 0x20 || first == 0x7f
                            ? fmt::format("\\x{:02x}", first)
                            : std::string(text.substr(0, length));
    if (out.size() + piece.size() > limit) return out + "...";
    out += piece;
    text.remove_prefix(length == 0 ? 1 : length);
  }
  return out;
}

}  // namespace strata
