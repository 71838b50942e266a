#include "runtime/text/charsmap.h"

#include <fmt/format.h>

#include <cstring>

#include "runtime/core/error.h"
#include "runtime/text/normalizer.h"
#include "runtime/text/utf8.h"

namespace strata::text {
namespace {

// A unit of a double array as Darts-clone packs it.
bool has_leaf(std::uint32_t unit) { return (unit >> 8) & 1; }
std::uint32_t value_of(std::uint32_t unit) { return unit & 0x7FFFFFFFU; }
std::uint32_t label_of(std::uint32_t unit) { return unit & 0x800000FFU; }
std::uint32_t offset_of(std::uint32_t unit) { return (unit >> 10) << ((unit & 0x200U) >> 6); }

constexpr std::size_t kMaxMatches = 32;  // SentencePiece looks at no more

}  // namespace

Charsmap::Charsmap(std::string_view bytes, const std::string& subject) {
  if (bytes.empty()) return;
  const auto bad = [&](std::string detail) {
    throw Error(ErrorCode::bad_model, subject, "precompiled_charsmap: " + std::move(detail));
  };
  std::uint32_t array_bytes = 0;
  if (bytes.size() < sizeof array_bytes) bad(fmt::format("{} bytes are no table", bytes.size()));
  std::memcpy(&array_bytes, bytes.data(), sizeof array_bytes);
  bytes.remove_prefix(sizeof array_bytes);
  if (array_bytes == 0 || array_bytes % 4 != 0 || array_bytes > bytes.size()) {
    bad(fmt::format("an array of {} bytes in {} bytes", array_bytes, bytes.size()));
  }
  units_.resize(array_bytes / 4);
  std::memcpy(units_.data(), bytes.data(), array_bytes);
  replacements_ = bytes.substr(array_bytes);
  if (!replacements_.ends_with('\0')) bad("its last replacement has no end");
  if (!is_utf8(replacements_)) bad("its replacements are not UTF-8");
}

Charsmap::Step Charsmap::step(std::string_view text) const {
  std::size_t length = 0;
  std::uint32_t value = 0;
  std::size_t node = units_.empty() ? 0 : offset_of(units_[0]);
  std::size_t matches = 0;
  for (std::size_t i = 0; i < text.size() && !units_.empty() && matches < kMaxMatches; ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    node ^= byte;
    if (node >= units_.size() || label_of(units_[node]) != byte) break;
    const std::uint32_t unit = units_[node];
    node ^= offset_of(unit);
    if (!has_leaf(unit)) continue;
    if (node >= units_.size()) break;
    length = i + 1;
    value = value_of(units_[node]);
    ++matches;
  }
  if (length > 0 && value < replacements_.size()) {
    return {length, std::string_view(replacements_.data() + value)};  // ends with a zero byte
  }
  const Utf8Step step = utf8_step(text, 0);
  if (!step.valid) return {1, kReplacementCharacter};
  return {step.length, text.substr(0, step.length)};
}

SentencePieceNormalizer::SentencePieceNormalizer(const SentencePieceRules& rules,
                                                 const std::string& subject)
    : charsmap_(rules.charsmap, subject),
      dummy_prefix_(rules.dummy_prefix),
      remove_extra_spaces_(rules.remove_extra_spaces) {}

std::string SentencePieceNormalizer::apply(std::string_view text, bool dummy_prefix) const {
  std::string out;
  const std::string_view whole = text;
  while (remove_extra_spaces_ && !text.empty()) {
    const Charsmap::Step step = charsmap_.step(text);
    if (step.text != " ") break;
    text.remove_prefix(step.length);
  }
  if (text.empty()) return out;
  if (dummy_prefix_ && dummy_prefix) out += kSpaceMarker;
  bool after_space = remove_extra_spaces_;
  while (!text.empty()) {
    const Charsmap::Step step = charsmap_.step(text);
    std::string_view part = step.text;
    while (after_space && part.starts_with(' ')) part.remove_prefix(1);
    check_growth(whole.size(), out.size() + part.size());
    for (const char c : part) {
      if (c == ' ') {
        out += kSpaceMarker;
      } else {
        out += c;
      }
    }
    if (!part.empty()) after_space = remove_extra_spaces_ && part.ends_with(' ');
    text.remove_prefix(step.length);
  }
  while (remove_extra_spaces_ && out.ends_with(kSpaceMarker)) {
    out.resize(out.size() - kSpaceMarker.size());
  }
  return out;
}

}  // namespace strata::text
