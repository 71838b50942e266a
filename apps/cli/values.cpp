#include "apps/cli/values.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>

#include "runtime/core/error.h"

namespace strata::cli {
namespace {

template <class T>
std::optional<T> parse_whole(std::string_view text) {
  T value{};
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, value);
  if (text.empty() || error != std::errc() || stop != end) return std::nullopt;
  return value;
}

std::string_view trim(std::string_view text) {
  while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
  while (!text.empty() && text.back() == ' ') text.remove_suffix(1);
  return text;
}

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

// The character that a one-letter escape stands for; 0 if there is none.
char escape_of(char letter) {
  switch (letter) {
    case 'n':
      return '\n';
    case 'r':
      return '\r';
    case 't':
      return '\t';
    case '\\':
    case '"':
    case '\'':
      return letter;
    default:
      return 0;
  }
}

}  // namespace

bool same_word(std::string_view a, std::string_view b) {
  if (a.size() != b.size()) return false;
  for (std::size_t i = 0; i < a.size(); ++i)
    if (lower(a[i]) != lower(b[i])) return false;
  return true;
}

std::optional<std::int64_t> parse_integer(std::string_view text) {
  return parse_whole<std::int64_t>(text);
}

std::optional<double> parse_number(std::string_view text) {
  const auto value = parse_whole<double>(text);
  return value && std::isfinite(*value) ? value : std::nullopt;
}

std::optional<bool> parse_switch(std::string_view text) {
  for (std::string_view word : {"1", "on", "true", "yes", "enabled"})
    if (same_word(text, word)) return true;
  for (std::string_view word : {"0", "off", "false", "no", "disabled"})
    if (same_word(text, word)) return false;
  return std::nullopt;
}

std::optional<std::vector<std::int64_t>> parse_integers(std::string_view text) {
  std::vector<std::int64_t> result;
  text = trim(text);
  if (text.size() >= 2 && text.front() == '[' && text.back() == ']')
    text = trim(text.substr(1, text.size() - 2));
  if (text.empty()) return result;
  while (true) {
    const std::size_t comma = text.find(',');
    const auto value = parse_integer(trim(text.substr(0, comma)));
    if (!value) return std::nullopt;
    result.push_back(*value);
    if (comma == std::string_view::npos) return result;
    text.remove_prefix(comma + 1);
  }
}

namespace {

// One part of such a list, appended to `numbers`; false when it is none.
bool append_range(std::string_view text, std::int64_t least, std::int64_t most,
                  std::vector<std::int64_t>& numbers) {
  constexpr std::size_t kMostNumbers = 4096;
  const std::size_t dash = text.find('-', 1);
  const auto first = parse_integer(text.substr(0, dash));
  if (!first || *first < least || *first > most) return false;
  if (dash == std::string_view::npos) {
    numbers.push_back(*first);
    return true;
  }
  const std::string_view rest = text.substr(dash + 1);
  const std::size_t sign = rest.find_first_of("+*");
  const auto last = parse_integer(rest.substr(0, sign));
  const bool stepped = sign != std::string_view::npos;
  const auto step = stepped ? parse_integer(rest.substr(sign + 1)) : std::optional<std::int64_t>(1);
  if (!last || *last < *first || *last > most || !step || *step < 1 || *step > most) return false;
  const bool times = stepped && rest[sign] == '*';
  if (times && (*step < 2 || *first < 1)) return false;  // it would not grow
  for (std::int64_t i = *first; i <= *last && numbers.size() <= kMostNumbers;) {
    numbers.push_back(i);
    // Both are at most 2^31: neither can wrap.
    i = times ? i * *step : i + *step;
  }
  return numbers.size() <= kMostNumbers;
}

}  // namespace

std::optional<std::vector<std::int64_t>> parse_ranges(std::string_view text, std::int64_t least,
                                                      std::int64_t most) {
  std::vector<std::int64_t> numbers;
  while (true) {
    const std::size_t comma = text.find(',');
    if (!append_range(trim(text.substr(0, comma)), least, most, numbers)) return std::nullopt;
    if (comma == std::string_view::npos) return numbers;
    text.remove_prefix(comma + 1);
  }
}

namespace {

// The power of two that a unit stands for; empty for an unknown one.
std::optional<int> unit_bits(std::string_view unit) {
  constexpr std::pair<std::string_view, int> kUnits[] = {{"", 0},     {"B", 0},    {"KiB", 10},
                                                         {"MiB", 20}, {"GiB", 30}, {"TiB", 40}};
  for (const auto& [name, bits] : kUnits)
    if (same_word(name, unit)) return bits;
  return std::nullopt;
}

}  // namespace

ByteSize parse_byte_size(std::string_view text) {
  constexpr double kBeyond = 0x1p63;  // the first that std::int64_t does not hold
  const auto wrong = [&](std::string_view why) {
    return ByteSize{0, fmt::format("\"{}\" {}", text, why)};
  };
  const std::string_view trimmed = trim(text);
  const std::size_t end = std::min(trimmed.find_first_not_of("+-.0123456789"), trimmed.size());
  const auto number = parse_number(trimmed.substr(0, end));
  if (!number) return wrong("is no number of bytes; write 600MiB, 1.5GiB or 4096");
  const std::string_view unit = trim(trimmed.substr(end));
  const auto bits = unit_bits(unit);
  if (!bits)
    return wrong(fmt::format("has the unit \"{}\"; it may be B, KiB, MiB, GiB or TiB", unit));
  if (*number < 0) return wrong("is less than nothing");
  const double bytes = std::ldexp(*number, *bits);
  if (bytes >= kBeyond) return wrong("is more than any memory has");
  if (bytes < 1) return wrong("is less than one byte");
  // Whole numbers of bytes beyond 2^53 are no doubles.
  const auto whole = *bits == 0 ? parse_integer(trimmed.substr(0, end)) : std::nullopt;
  return {whole ? *whole : static_cast<std::int64_t>(bytes), {}};
}

std::pair<std::int32_t, float> parse_logit_bias(std::string_view subject, std::string_view text) {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  constexpr double kMost = static_cast<double>(std::numeric_limits<float>::max());
  const std::size_t sign = text.find_first_not_of("0123456789");
  const auto id = parse_whole<std::int32_t>(text.substr(0, sign));
  if (id && sign != std::string_view::npos) {
    const std::string_view value = text.substr(sign + 1);
    if (text.substr(sign) == "=false" || text.substr(sign) == "-inf") return {*id, -kInfinity};
    // A second sign would be read as part of the number.
    const auto bias = value.starts_with('-') ? std::nullopt : parse_number(value);
    if (bias && *bias <= kMost && (text[sign] == '+' || text[sign] == '-'))
      return {*id, static_cast<float>(text[sign] == '-' ? -*bias : *bias)};
  }
  throw Error(ErrorCode::usage, std::string(subject),
              fmt::format("\"{}\" is not a token id and its bias", text),
              "write 15043+1, 15043-1.5, or 15043-inf to ban a token");
}

std::string unescape(std::string_view text) {
  std::string result;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '\\' || i + 1 == text.size()) {
      result += text[i];
      continue;
    }
    const char letter = text[i + 1];
    if (const char c = escape_of(letter); c != 0) {
      result += c;
      ++i;
    } else if (letter == 'x' && i + 3 < text.size() && hex_digit(text[i + 2]) >= 0 &&
               hex_digit(text[i + 3]) >= 0) {
      result += static_cast<char>(hex_digit(text[i + 2]) * 16 + hex_digit(text[i + 3]));
      i += 3;
    } else {
      result += '\\';
    }
  }
  return result;
}

}  // namespace strata::cli
