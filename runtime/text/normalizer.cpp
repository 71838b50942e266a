#include "runtime/text/normalizer.h"

#include <fmt/format.h>
#include <utf8proc.h>

#include <algorithm>
#include <cstdlib>
#include <memory>
#include <new>

#include "runtime/core/error.h"
#include "runtime/text/utf8.h"

namespace strata::text {
namespace {

using Kind = NormalizerStep::Kind;

struct Free {
  void operator()(utf8proc_uint8_t* memory) const { std::free(memory); }
};

std::string unicode_form(std::string_view text, Kind kind) {
  const auto is_ascii = [](char c) { return static_cast<unsigned char>(c) < 0x80; };
  if (std::all_of(text.begin(), text.end(), is_ascii)) return std::string(text);
  const bool composed = kind == Kind::nfc || kind == Kind::nfkc;
  const bool compatible = kind == Kind::nfkc || kind == Kind::nfkd;
  const int options = UTF8PROC_STABLE | (composed ? UTF8PROC_COMPOSE : UTF8PROC_DECOMPOSE) |
                      (compatible ? UTF8PROC_COMPAT : 0);
  utf8proc_uint8_t* result = nullptr;
  const utf8proc_ssize_t bytes = utf8proc_map(
      reinterpret_cast<const utf8proc_uint8_t*>(text.data()),
      static_cast<utf8proc_ssize_t>(text.size()), &result, static_cast<utf8proc_option_t>(options));
  const std::unique_ptr<utf8proc_uint8_t, Free> owner(result);
  if (bytes == UTF8PROC_ERROR_NOMEM) throw std::bad_alloc();
  if (bytes < 0) {
    throw Error(
        ErrorCode::runtime, "text",
        fmt::format("{} bytes cannot be normalized: {}", text.size(), utf8proc_errmsg(bytes)));
  }
  return {reinterpret_cast<const char*>(result), static_cast<std::size_t>(bytes)};
}

// The bytes of `text` after the replacements, counted before any is made; 2^62 and more are 2^62.
std::size_t grown(std::string_view text, const NormalizerStep& step) {
  std::size_t found = 0;
  for (std::size_t at = 0; (at = text.find(step.from, at)) != std::string_view::npos;
       at += step.from.size()) {
    ++found;
  }
  constexpr std::size_t kMost = std::size_t{1} << 62;
  if (found > 0 && step.text.size() > kMost / found) return kMost;
  return text.size() - found * step.from.size() + found * step.text.size();
}

}  // namespace

void check_growth(std::size_t before, std::size_t after) {
  if (after <= 1024 + 32 * before) return;
  throw Error(ErrorCode::bad_model, "tokenizer",
              fmt::format("its normalizer makes more than {} bytes of {}", after, before),
              "is the model what it says it is?");
}

std::string Normalizer::apply(std::string_view text) const {
  std::string out(text);
  for (const NormalizerStep& step : steps_) {
    switch (step.kind) {
      case Kind::prepend:
        if (!out.empty()) out.insert(0, step.text);
        check_growth(text.size(), out.size());
        break;
      case Kind::replace:
        check_growth(text.size(), grown(out, step));
        out = replace_all(out, step.from, step.text);
        break;
      default:
        out = unicode_form(out, step.kind);
        check_growth(text.size(), out.size());
    }
  }
  return out;
}

}  // namespace strata::text
