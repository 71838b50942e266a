#include "runtime/text/pretokenizer.h"

#include <fmt/format.h>

#include <algorithm>

#include "runtime/core/error.h"
#include "runtime/text/byte_alphabet.h"
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

using Range = RegexSearch::Match;

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

// A stretch of a piece that matches, or lies between matches.
struct Segment {
  std::size_t end;
  bool match;
};

// The segments of `piece` in order. As Hugging Face's search does, an empty match counts unless it
// touches the match before it.
void find_segments(const Regex& regex, bool invert, std::string_view piece, RegexSearch& search,
                   std::vector<Segment>& segments) {
  segments.clear();
  std::size_t begin = 0;  // of what is not in a segment yet
  std::size_t from = 0;
  bool any = false;
  Range match{};
  while (from <= piece.size() && search.find(regex, piece, from, match)) {
    if (match.begin == match.end && any && match.end == begin) {
      from = begin + (begin < piece.size() ? utf8_step(piece, begin).length : 1U);
      continue;
    }
    if (match.begin > begin) segments.push_back({match.begin, invert});
    if (match.end > match.begin) segments.push_back({match.end, !invert});
    begin = from = match.end;
    any = true;
  }
  if (begin < piece.size()) segments.push_back({piece.size(), invert});
}

// Joins segments to pieces. `segments` are those of a piece that begins at `base`.
void join_segments(SplitKind kind, std::span<const Segment> segments, std::size_t base,
                   std::vector<std::size_t>& ends) {
  for (std::size_t i = 0; i < segments.size(); ++i) {
    const bool match = segments[i].match;
    const bool next = i + 1 < segments.size() && segments[i + 1].match;
    bool cut = true;
    if (i + 1 < segments.size()) {
      if (kind == SplitKind::contiguous) cut = !(match && next);
      if (kind == SplitKind::with_previous) cut = !(next && !match);
      if (kind == SplitKind::with_next) cut = !(match && !next);
    }
    if (cut) ends.push_back(base + segments[i].end);
  }
}

struct Scratch {
  RegexSearch search;
  std::vector<Segment> segments;
};

// The ends, beginning with `base`, of the pieces that a rule makes of `piece`.
void split_piece(const Regex& regex, SplitKind kind, bool invert, std::string_view piece,
                 std::size_t base, Scratch& scratch, std::vector<std::size_t>& ends) {
  if (kind != SplitKind::thirds && kind != SplitKind::thirds_inside) {
    find_segments(regex, invert, piece, scratch.search, scratch.segments);
    join_segments(kind, scratch.segments, base, ends);
    return;
  }
  const bool inside = kind == SplitKind::thirds_inside;
  std::size_t at = 0;
  Range match{};
  while (at < piece.size() && scratch.search.find(regex, piece, at, match) &&
         match.end > match.begin) {
    if (match.begin > at && !inside) ends.push_back(base + match.begin);
    cut_thirds(piece, match, inside, base, ends);
    at = match.end;
  }
  const std::size_t end = base + piece.size();
  if (ends.empty() || ends.back() != end) ends.push_back(end);
}

// Turns ends in the byte alphabet's spelling of `bytes` into ends in `bytes`: one character each.
void to_byte_ends(std::string_view spelled, std::size_t base, std::size_t first,
                  std::vector<std::size_t>& ends) {
  std::size_t characters = 0;
  std::size_t at = 0;
  for (std::size_t i = first; i < ends.size(); ++i) {
    for (; at < ends[i]; at += utf8_step(spelled, at).length) ++characters;
    ends[i] = base + characters;
  }
}

}  // namespace

Pretokenizer::Pretokenizer(std::span<const SplitRule> rules, bool jit) {
  for (const SplitRule& rule : rules) {
    rules_.push_back(Compiled{rule.kind, rule.invert, rule.on_alphabet, Regex(rule.pattern, jit)});
  }
}

std::vector<std::size_t> Pretokenizer::split(std::string_view text) const {
  std::vector<std::size_t> ends;
  if (text.empty()) return ends;
  Scratch scratch;
  ends.push_back(text.size());
  std::vector<std::size_t> next;
  for (const Compiled& rule : rules_) {
    next.clear();
    next.reserve(ends.size());
    std::size_t begin = 0;
    for (const std::size_t end : ends) {
      const std::string_view piece = text.substr(begin, end - begin);
      if (rule.on_alphabet) {
        const std::string spelled = to_byte_alphabet(piece);
        const std::size_t first = next.size();
        split_piece(rule.regex, rule.kind, rule.invert, spelled, 0, scratch, next);
        to_byte_ends(spelled, begin, first, next);
      } else {
        split_piece(rule.regex, rule.kind, rule.invert, piece, begin, scratch, next);
      }
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
