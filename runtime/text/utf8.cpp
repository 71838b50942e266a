#include "runtime/text/utf8.h"

#include <algorithm>

namespace strata::text {
namespace {

// Continuation bytes of a lead byte, and the range of the first of them.
struct LeadByte {
  std::uint8_t continuations;  // 0: not a lead byte
  std::uint8_t low;
  std::uint8_t high;
};

LeadByte lead_byte(std::uint8_t byte) {
  if (byte >= 0xC2 && byte <= 0xDF) return {1, 0x80, 0xBF};
  if (byte == 0xE0) return {2, 0xA0, 0xBF};
  if (byte == 0xED) return {2, 0x80, 0x9F};
  if (byte >= 0xE1 && byte <= 0xEF) return {2, 0x80, 0xBF};
  if (byte == 0xF0) return {3, 0x90, 0xBF};
  if (byte >= 0xF1 && byte <= 0xF3) return {3, 0x80, 0xBF};
  if (byte == 0xF4) return {3, 0x80, 0x8F};
  return {0, 0, 0};
}

}  // namespace

Utf8Step utf8_step(std::string_view text, std::size_t at) {
  const auto first = static_cast<std::uint8_t>(text[at]);
  if (first < 0x80) return {1, true, false};
  auto [continuations, low, high] = lead_byte(first);
  if (continuations == 0) return {1, false, false};
  for (std::uint8_t i = 1; i <= continuations; ++i) {
    if (at + i >= text.size()) return {i, false, true};
    const auto byte = static_cast<std::uint8_t>(text[at + i]);
    if (byte < low || byte > high) return {i, false, false};
    low = 0x80;
    high = 0xBF;
  }
  return {static_cast<std::uint8_t>(continuations + 1), true, false};
}

char32_t utf8_decode(std::string_view text, std::size_t at, Utf8Step step) {
  constexpr std::uint8_t kLeadMask[] = {0, 0x7F, 0x1F, 0x0F, 0x07};
  char32_t value = static_cast<std::uint8_t>(text[at]) & kLeadMask[step.length];
  for (std::uint8_t i = 1; i < step.length; ++i) {
    value = (value << 6) | (static_cast<std::uint8_t>(text[at + i]) & 0x3FU);
  }
  return value;
}

void append_utf8(std::string& out, char32_t code_point) {
  const auto put = [&out](char32_t byte) { out.push_back(static_cast<char>(byte)); };
  if (code_point < 0x80) {
    put(code_point);
  } else if (code_point < 0x800) {
    put(0xC0 | (code_point >> 6));
    put(0x80 | (code_point & 0x3F));
  } else if (code_point < 0x10000) {
    put(0xE0 | (code_point >> 12));
    put(0x80 | ((code_point >> 6) & 0x3F));
    put(0x80 | (code_point & 0x3F));
  } else {
    put(0xF0 | (code_point >> 18));
    put(0x80 | ((code_point >> 12) & 0x3F));
    put(0x80 | ((code_point >> 6) & 0x3F));
    put(0x80 | (code_point & 0x3F));
  }
}

bool is_utf8(std::string_view text) {
  for (std::size_t at = 0; at < text.size();) {
    const Utf8Step step = utf8_step(text, at);
    if (!step.valid) return false;
    at += step.length;
  }
  return true;
}

std::string replace_bad_bytes(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t at = 0; at < text.size();) {
    const Utf8Step step = utf8_step(text, at);
    if (step.valid) {
      out.append(text, at, step.length);
    } else {
      for (std::uint8_t i = 0; i < step.length; ++i) out.append(kReplacementCharacter);
    }
    at += step.length;
  }
  return out;
}

std::string replace_all(std::string_view text, std::string_view from, std::string_view to) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t at = 0;;) {
    const std::size_t found = text.find(from, at);
    out.append(text, at, found - at);  // npos - at: all that is left
    if (found == std::string_view::npos) return out;
    out.append(to);
    at = found + from.size();
  }
}

std::string printable(std::string_view text, std::size_t max_bytes) {
  std::string out = replace_bad_bytes(text.substr(0, max_bytes));
  std::replace_if(
      out.begin(), out.end(), [](char c) { return (c >= 0 && c < ' ') || c == 0x7F; }, '?');
  if (text.size() > max_bytes) out += "...";
  return out;
}

}  // namespace strata::text
