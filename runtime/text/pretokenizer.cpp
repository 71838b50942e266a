#include "runtime/text/pretokenizer.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <fmt/format.h>
#include <pcre2.h>

#include <algorithm>

#include "runtime/core/error.h"
#include "runtime/text/utf8.h"

namespace strata::text {
namespace {

#define STRATA_PRETOKENIZER(name, family, bos, ...)
#define STRATA_SPLIT_RULES(family, ...) constexpr SplitRule k_##family[] = {__VA_ARGS__};
#include "runtime/text/pretokenizers.inc"
#undef STRATA_SPLIT_RULES
#undef STRATA_PRETOKENIZER

constexpr PretokenizerInfo kPretokenizers[] = {
#define STRATA_SPLIT_RULES(family, ...)
#define STRATA_PRETOKENIZER(spelling, family, bos, ...) \
  {.name = spelling, .rules = k_##family, .add_bos = AddBos::bos __VA_OPT__(, ) __VA_ARGS__},
#include "runtime/text/pretokenizers.inc"
#undef STRATA_SPLIT_RULES
#undef STRATA_PRETOKENIZER
};

// PCRE2's own \s also takes U+180E, which left White_Space in Unicode 6.3.
constexpr std::string_view kSpaces =
    R"(\t-\r \x{85}\x{A0}\x{1680}\x{2000}-\x{200A}\x{2028}\x{2029}\x{202F}\x{205F}\x{3000})";

std::string with_unicode_spaces(std::string_view pattern) {
  std::string out;
  bool in_class = false;
  for (std::size_t i = 0; i < pattern.size(); ++i) {
    const bool escape = pattern[i] == '\\' && i + 1 < pattern.size();
    if (escape && pattern[i + 1] == 's') {
      out += in_class ? std::string(kSpaces) : fmt::format("[{}]", kSpaces);
      ++i;
    } else if (escape && pattern[i + 1] == 'S') {
      // Inside a class only "[^\S\r\n]" occurs: white space other than line ends.
      out += in_class ? std::string(R"(\P{White_Space})") : fmt::format("[^{}]", kSpaces);
      ++i;
    } else {
      if (pattern[i] == '[') in_class = true;
      if (pattern[i] == ']') in_class = false;
      out += pattern[i];
      if (escape) out += pattern[++i];
    }
  }
  return out;
}

template <auto destroy>
struct Destroy {
  template <class T>
  void operator()(T* handle) const {
    destroy(handle);
  }
};
using Code = std::unique_ptr<pcre2_code, Destroy<pcre2_code_free>>;
using MatchData = std::unique_ptr<pcre2_match_data, Destroy<pcre2_match_data_free>>;
using MatchContext = std::unique_ptr<pcre2_match_context, Destroy<pcre2_match_context_free>>;

Code compile(std::string_view pattern, bool jit) {
  const std::string text = with_unicode_spaces(pattern);
  int error = 0;
  PCRE2_SIZE offset = 0;
  Code code(pcre2_compile(reinterpret_cast<PCRE2_SPTR>(text.data()), text.size(),
                          PCRE2_UTF | PCRE2_UCP | PCRE2_DOLLAR_ENDONLY | PCRE2_NEVER_BACKSLASH_C,
                          &error, &offset, nullptr));
  if (!code) {
    PCRE2_UCHAR message[256] = {};
    pcre2_get_error_message(error, message, sizeof message);
    throw Error(ErrorCode::runtime, "pre-tokenizer pattern",
                fmt::format("\"{}\" at offset {}: {}", text, offset,
                            reinterpret_cast<const char*>(message)));
  }
  // Where code cannot be made at run time this fails, and pcre2_match interprets instead.
  if (jit) pcre2_jit_compile(code.get(), PCRE2_JIT_COMPLETE);
  return code;
}

struct Range {
  std::size_t begin;
  std::size_t end;
};

// Finds the matches of one pattern in one piece after the other; what PCRE2 needs for it.
class Matcher {
 public:
  Matcher() : context_(pcre2_match_context_create(nullptr)) {
    data_.reset(pcre2_match_data_create(1, nullptr));
    if (!context_ || !data_) throw std::bad_alloc();
    pcre2_set_heap_limit(context_.get(), 256 * 1024);  // KiB
  }

  // The first match in `piece` at or after `from`; an empty one counts as none.
  bool find(const pcre2_code* code, std::string_view piece, std::size_t from, Range& match) {
    int rc = run(code, piece, from, PCRE2_NO_UTF_CHECK);
    if (rc == PCRE2_ERROR_JIT_STACKLIMIT) {
      rc = run(code, piece, from, PCRE2_NO_UTF_CHECK | PCRE2_NO_JIT);
    }
    if (rc == PCRE2_ERROR_NOMATCH) return false;
    if (rc < 0) {
      throw Error(
          ErrorCode::runtime, "pre-tokenizer",
          fmt::format("PCRE2 error {} in a piece of {} bytes at byte {}", rc, piece.size(), from),
          "cut the text into shorter parts");
    }
    const PCRE2_SIZE* at = pcre2_get_ovector_pointer(data_.get());
    match = {at[0], at[1]};
    return match.end > match.begin;
  }

 private:
  int run(const pcre2_code* code, std::string_view piece, std::size_t from, std::uint32_t options) {
    // A match may look at each byte a few times; what needs much more is not linear.
    const std::size_t work = std::min<std::size_t>(1'000'000 + 64 * piece.size(), 0xFFFFFFFF);
    pcre2_set_match_limit(context_.get(), static_cast<std::uint32_t>(work));
    return pcre2_match(code, reinterpret_cast<PCRE2_SPTR>(piece.data()), piece.size(), from,
                       options, data_.get(), context_.get());
  }

  MatchContext context_;
  MatchData data_;
};

// Cuts the characters of `match` into groups of three that end at its end.
void cut_thirds(std::string_view piece, Range match, bool inside, std::size_t base,
                std::vector<std::size_t>& ends) {
  std::vector<std::size_t> starts;
  for (std::size_t at = match.begin; at < match.end; at += utf8_step(piece, at).length) {
    starts.push_back(at);
  }
  if (inside && starts.size() % 3 == 0 && match.begin > 0) ends.push_back(base + match.begin);
  for (std::size_t i = 1; i < starts.size(); ++i) {
    if ((starts.size() - i) % 3 == 0) ends.push_back(base + starts[i]);
  }
  if (!inside) ends.push_back(base + match.end);
}

// The pieces that `rule` makes of text[begin, end), appended to `ends`.
void split_piece(const pcre2_code* code, SplitKind kind, std::string_view text, Range range,
                 Matcher& matcher, std::vector<std::size_t>& ends) {
  const std::string_view piece = text.substr(range.begin, range.end - range.begin);
  const bool inside = kind == SplitKind::thirds_inside;
  std::size_t at = 0;
  Range match{};
  while (at < piece.size() && matcher.find(code, piece, at, match)) {
    if (match.begin > at && !inside) ends.push_back(range.begin + match.begin);
    if (kind == SplitKind::isolate) {
      ends.push_back(range.begin + match.end);
    } else {
      cut_thirds(piece, match, inside, range.begin, ends);
    }
    at = match.end;
  }
  if (ends.empty() || ends.back() != range.end) ends.push_back(range.end);
}

}  // namespace

struct Pretokenizer::Compiled {
  SplitKind kind;
  Code code;
};

Pretokenizer::Pretokenizer(std::span<const SplitRule> rules, bool jit) {
  for (const SplitRule& rule : rules) {
    rules_.push_back(Compiled{rule.kind, compile(rule.pattern, jit)});
  }
}

Pretokenizer::~Pretokenizer() = default;

std::vector<std::size_t> Pretokenizer::split(std::string_view text) const {
  std::vector<std::size_t> ends;
  if (text.empty()) return ends;
  Matcher matcher;
  ends.push_back(text.size());
  std::vector<std::size_t> next;
  for (const Compiled& rule : rules_) {
    next.clear();
    next.reserve(ends.size());
    std::size_t begin = 0;
    for (const std::size_t end : ends) {
      split_piece(rule.code.get(), rule.kind, text, {begin, end}, matcher, next);
      begin = end;
    }
    ends.swap(next);
  }
  return ends;
}

std::vector<std::string_view> pretokenizer_names() {
  std::vector<std::string_view> names;
  for (const PretokenizerInfo& info : kPretokenizers) names.push_back(info.name);
  std::sort(names.begin(), names.end());
  return names;
}

const PretokenizerInfo& pretokenizer_of(std::string_view model, std::string_view pre) {
  std::string_view name = pre.empty() ? "default" : pre;
  if (model == "gemma4") name = "gemma4";
  for (const PretokenizerInfo& info : kPretokenizers) {
    if (info.name == name) return info;
  }
  throw Error(ErrorCode::bad_model, "tokenizer.ggml.pre",
              fmt::format("pre-tokenizer \"{}\" is not known", printable(name, 64)),
              fmt::format("known: {}", fmt::join(pretokenizer_names(), ", ")));
}

}  // namespace strata::text
