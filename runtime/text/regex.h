#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace strata::text {

/// The characters of Unicode White_Space, to stand inside a PCRE2 class.
inline constexpr std::string_view kSpaceClass =
    R"(\t-\r \x{85}\x{A0}\x{1680}\x{2000}-\x{200A}\x{2028}\x{2029}\x{202F}\x{205F}\x{3000})";

/// A compiled PCRE2 pattern over UTF-8. Immutable: any thread may search with its own RegexSearch.
class Regex {
 public:
  /// `pattern` is PCRE2's syntax with \s and \S meaning Unicode White_Space. Throws Error{runtime}
  /// with PCRE2's words. `jit` false uses PCRE2's interpreter only, which is also what runs where
  /// the system forbids making code at run time.
  explicit Regex(std::string_view pattern, bool jit = true);
  Regex(Regex&&) noexcept;
  Regex& operator=(Regex&&) noexcept;
  ~Regex();

 private:
  friend class RegexSearch;
  struct Code;
  std::unique_ptr<Code> code_;
};

/// What one thread needs to search texts, for any number of patterns.
class RegexSearch {
 public:
  RegexSearch();
  ~RegexSearch();

  struct Match {
    std::size_t begin;
    std::size_t end;
  };

  /// The first match in `text` (well-formed UTF-8) that begins at or after `from`. Throws
  /// Error{runtime} if it exceeds PCRE2's work limit, which is linear in the text.
  bool find(const Regex& regex, std::string_view text, std::size_t from, Match& match);

 private:
  int run(const Regex& regex, std::string_view text, std::size_t from, std::uint32_t options);

  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace strata::text
