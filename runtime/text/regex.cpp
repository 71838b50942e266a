#include "runtime/text/regex.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <fmt/format.h>
#include <pcre2.h>

#include <algorithm>
#include <new>

#include "runtime/core/error.h"

namespace strata::text {
namespace {

// PCRE2's own \s also takes U+180E, which left White_Space in Unicode 6.3.
std::string with_unicode_spaces(std::string_view pattern) {
  std::string out;
  bool in_class = false;
  for (std::size_t i = 0; i < pattern.size(); ++i) {
    const bool escape = pattern[i] == '\\' && i + 1 < pattern.size();
    if (escape && pattern[i + 1] == 's') {
      out += in_class ? std::string(kSpaceClass) : fmt::format("[{}]", kSpaceClass);
      ++i;
    } else if (escape && pattern[i + 1] == 'S') {
      // Inside a class only "[^\S\r\n]" occurs: white space other than line ends.
      out += in_class ? std::string(R"(\P{White_Space})") : fmt::format("[^{}]", kSpaceClass);
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
using CodeHandle = std::unique_ptr<pcre2_code, Destroy<pcre2_code_free>>;
using MatchData = std::unique_ptr<pcre2_match_data, Destroy<pcre2_match_data_free>>;
using MatchContext = std::unique_ptr<pcre2_match_context, Destroy<pcre2_match_context_free>>;

}  // namespace

struct Regex::Code {
  CodeHandle handle;
};

Regex::Regex(std::string_view pattern, bool jit) : code_(std::make_unique<Code>()) {
  const std::string text = with_unicode_spaces(pattern);
  int error = 0;
  PCRE2_SIZE offset = 0;
  code_->handle.reset(
      pcre2_compile(reinterpret_cast<PCRE2_SPTR>(text.data()), text.size(),
                    PCRE2_UTF | PCRE2_UCP | PCRE2_DOLLAR_ENDONLY | PCRE2_NEVER_BACKSLASH_C, &error,
                    &offset, nullptr));
  if (!code_->handle) {
    PCRE2_UCHAR message[256] = {};
    pcre2_get_error_message(error, message, sizeof message);
    throw Error(ErrorCode::runtime, "pre-tokenizer pattern",
                fmt::format("\"{}\" at offset {}: {}", text, offset,
                            reinterpret_cast<const char*>(message)));
  }
  // Where code cannot be made at run time this fails, and pcre2_match interprets instead.
  if (jit) pcre2_jit_compile(code_->handle.get(), PCRE2_JIT_COMPLETE);
}

Regex::Regex(Regex&&) noexcept = default;
Regex& Regex::operator=(Regex&&) noexcept = default;
Regex::~Regex() = default;

struct RegexSearch::State {
  MatchContext context;
  MatchData data;
};

RegexSearch::RegexSearch() : state_(std::make_unique<State>()) {
  state_->context.reset(pcre2_match_context_create(nullptr));
  state_->data.reset(pcre2_match_data_create(1, nullptr));
  if (!state_->context || !state_->data) throw std::bad_alloc();
  pcre2_set_heap_limit(state_->context.get(), 256 * 1024);  // KiB
}

RegexSearch::~RegexSearch() = default;

bool RegexSearch::find(const Regex& regex, std::string_view text, std::size_t from, Match& match) {
  int rc = run(regex, text, from, PCRE2_NO_UTF_CHECK);
  if (rc == PCRE2_ERROR_JIT_STACKLIMIT) {
    rc = run(regex, text, from, PCRE2_NO_UTF_CHECK | PCRE2_NO_JIT);
  }
  if (rc == PCRE2_ERROR_NOMATCH) return false;
  if (rc < 0) {
    throw Error(
        ErrorCode::runtime, "pre-tokenizer",
        fmt::format("PCRE2 error {} in a piece of {} bytes at byte {}", rc, text.size(), from),
        "cut the text into shorter parts");
  }
  const PCRE2_SIZE* at = pcre2_get_ovector_pointer(state_->data.get());
  match = {at[0], at[1]};
  return true;
}

int RegexSearch::run(const Regex& regex, std::string_view text, std::size_t from,
                     std::uint32_t options) {
  // A match may look at each byte a few times; what needs much more is not linear.
  const std::size_t work = std::min<std::size_t>(1'000'000 + 64 * text.size(), 0xFFFFFFFF);
  pcre2_set_match_limit(state_->context.get(), static_cast<std::uint32_t>(work));
  return pcre2_match(regex.code_->handle.get(), reinterpret_cast<PCRE2_SPTR>(text.data()),
                     text.size(), from, options, state_->data.get(), state_->context.get());
}

}  // namespace strata::text
