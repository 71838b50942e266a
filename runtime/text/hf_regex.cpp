#include "runtime/text/hf_regex.h"

#include <fmt/format.h>

#include <array>

#include "runtime/core/error.h"
#include "runtime/text/regex.h"
#include "runtime/text/utf8.h"

namespace strata::text {
namespace {

constexpr std::size_t kMaxPatternBytes = 16 * 1024;
constexpr std::string_view kWordClass = R"(\p{Alphabetic}\p{M}\p{Nd}\p{Pc})";

bool is_letter(char c) { return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z'); }
bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_hex(char c) { return is_digit(c) || (c >= 'A' && c <= 'F') || (c >= 'a' && c <= 'f'); }

class Translator {
 public:
  Translator(std::string_view pattern, const std::string& subject)
      : pattern_(pattern), subject_(subject) {}

  // "$" and "^" mean line ends in Ruby's syntax, and only \n is one.
  std::string run() {
    if (pattern_.size() > kMaxPatternBytes) {
      refuse(fmt::format("has {} bytes, more than {}", pattern_.size(), kMaxPatternBytes));
    }
    if (pattern_.find('\0') != std::string_view::npos) refuse("holds a zero byte");
    out_ = "(*LF)(?m)";
    while (at_ < pattern_.size()) step();
    if (in_class_) refuse("has a class without an end");
    return std::move(out_);
  }

 private:
  [[noreturn]] void refuse(std::string_view what) const {
    throw Error(ErrorCode::unsupported_model, subject_,
                fmt::format("the pattern \"{}\" {} (byte {})", printable(pattern_, 200), what, at_),
                "use the model's GGUF file");
  }

  char peek(std::size_t ahead) const {
    return at_ + ahead < pattern_.size() ? pattern_[at_ + ahead] : '\0';
  }
  bool next_is(std::string_view text) const { return pattern_.substr(at_).starts_with(text); }
  void copy(std::size_t bytes) {
    out_ += pattern_.substr(at_, bytes);
    at_ += bytes;
  }

  void step() {
    const char c = peek(0);
    if (c == '\\') return escape();
    if (in_class_) return in_class(c);
    if (c == '[') return open_class();
    if (c == '(') return group();
    if (c == '{') return interval();
    copy(1);
  }

  void open_class() {
    in_class_ = true;
    copy(1);
    if (peek(0) == '^') copy(1);
    if (peek(0) == ']') refuse("has a class that begins with \"]\", which is not supported");
  }

  void in_class(char c) {
    if (c == '[') refuse("has a class inside a class, which is not supported");
    if (next_is("&&")) refuse("has an intersection of classes (&&), which is not supported");
    if (c == ']') in_class_ = false;
    copy(1);
  }

  void group() {
    static constexpr std::array<std::string_view, 7> kKinds = {
        "(?:", "(?=", "(?!", "(?<=", "(?<!", "(?>", "(?i:"};
    for (const std::string_view kind : kKinds) {
      if (next_is(kind)) return copy(kind.size());
    }
    if (next_is("(?i)") && at_ == 0) return copy(4);
    if (next_is("(?") || next_is("(*")) refuse("has a group of a kind that is not supported");
    copy(1);
  }

  // "{,n}" is {0,n}; "{n,m}+" repeats the interval, where PCRE2 makes it possessive.
  void interval() {
    std::size_t end = 1;
    while (is_digit(peek(end)) || peek(end) == ',') ++end;
    if (peek(end) != '}' || end == 1) return copy(1);
    const std::string_view body = pattern_.substr(at_ + 1, end - 1);
    if (body == ",") return copy(1);
    if (peek(end + 1) == '+') refuse("has \"}+\", which is not supported");
    if (body.front() == ',') {
      out_ += fmt::format("{{0{}}}", body);
      at_ += end + 1;
      return;
    }
    copy(end + 1);
  }

  void escape() {
    const char c = peek(1);
    if (c == '\0') refuse("ends with a backslash");
    if (c == 'p' || c == 'P') return property();
    if (c == 'u') return code_point();
    if (c == 'x') return hex();
    at_ += 2;
    if (c == 's') return put_class(kSpaceClass, false);
    if (c == 'S') return put_class(kSpaceClass, true);
    if (c == 'w') return put_class(kWordClass, false);
    if (c == 'W' && !in_class_) return put_class(kWordClass, true);
    if (c == 'v') {
      out_ += R"(\x0B)";  // the character alone; in PCRE2 all vertical space
      return;
    }
    const bool same = c == 'd' || c == 'D' || c == 't' || c == 'r' || c == 'n' || c == 'f' ||
                      c == 'a' || c == 'e' || (!in_class_ && (c == 'A' || c == 'z' || c == 'Z'));
    if (!same && (is_letter(c) || is_digit(c))) {
      at_ -= 2;
      refuse(fmt::format("has \"\\{}\", which is not supported", c));
    }
    out_ += '\\';
    out_ += c;
  }

  void put_class(std::string_view members, bool negated) {
    if (!in_class_) {
      out_ += fmt::format("[{}{}]", negated ? "^" : "", members);
    } else if (!negated) {
      out_ += members;
    } else {
      out_ += R"(\P{White_Space})";  // \S is the only one that comes here
    }
  }

  // General categories are the same in both; \p{Han} is a script, not its extension.
  void property() {
    std::size_t end = 2;
    if (peek(end) == '{') {
      while (peek(end) != '}') {
        if (at_ + end >= pattern_.size()) refuse("has a property without an end");
        ++end;
      }
    } else {
      refuse("has a property without braces, which is not supported");
    }
    std::string_view name = pattern_.substr(at_ + 3, end - 3);
    const bool negated = name.starts_with('^');
    if (negated) name.remove_prefix(1);
    for (const char c : name) {
      if (!is_letter(c) && c != '_' && c != '&') refuse("has a property that is not supported");
    }
    if (name.empty()) refuse("has a property without a name");
    const bool category = name.size() <= 2 || name == "White_Space" || name == "Alphabetic";
    out_ += fmt::format("\\{}{{{}{}{}}}", peek(1), negated ? "^" : "", category ? "" : "sc:", name);
    at_ += end + 1;
  }

  void code_point() {
    for (std::size_t i = 2; i < 6; ++i) {
      if (!is_hex(peek(i))) refuse("has \"\\u\" without four hexadecimal digits");
    }
    out_ += fmt::format("\\x{{{}}}", pattern_.substr(at_ + 2, 4));
    at_ += 6;
  }

  void hex() {
    if (peek(2) == '{') {
      std::size_t end = 3;
      while (is_hex(peek(end))) ++end;
      if (end == 3 || end > 9 || peek(end) != '}') refuse("has a bad \"\\x{}\"");
      return copy(end + 1);
    }
    // Two digits name a byte in Ruby's syntax: a character only in ASCII.
    if (!is_hex(peek(2)) || !is_hex(peek(3)) || peek(2) >= '8') {
      refuse("has a \"\\x\" that is no ASCII character, which is not supported");
    }
    copy(4);
  }

  std::string_view pattern_;
  const std::string& subject_;
  std::string out_;
  std::size_t at_ = 0;
  bool in_class_ = false;
};

}  // namespace

std::string translate_hf_regex(std::string_view pattern, const std::string& subject) {
  return Translator(pattern, subject).run();
}

std::string literal_pattern(std::string_view text) {
  std::string out;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x80) {
      out += fmt::format("\\x{{{:X}}}", byte);
    } else {
      out += c;
    }
  }
  return out;
}

}  // namespace strata::text
