#include "runtime/text/special_index.h"

#include <algorithm>

#include "runtime/text/utf8.h"

namespace strata::text {
namespace {

bool is_c_space(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

bool strips(std::string_view text) {
  return text != "<unk>" && text != "<s>" && text != "<|endoftext|>";
}

// Unicode White_Space.
bool is_white_space(char32_t c) {
  return c == ' ' || (c >= '\t' && c <= '\r') || c == 0x85 || c == 0xA0 || c == 0x1680 ||
         (c >= 0x2000 && c <= 0x200A) || c == 0x2028 || c == 0x2029 || c == 0x202F || c == 0x205F ||
         c == 0x3000;
}

// Where the last character of `text`, which is well-formed UTF-8 and not empty, begins.
std::size_t last_character(std::string_view text) {
  std::size_t at = text.size() - 1;
  while (at > 0 && (static_cast<unsigned char>(text[at]) & 0xC0) == 0x80) --at;
  return at;
}

}  // namespace

SpecialIndex::SpecialIndex(const Vocabulary& vocabulary, bool strip_right) {
  for (std::size_t i = 0; i < vocabulary.size(); ++i) {
    const auto id = static_cast<TokenId>(i);
    const TokenType type = vocabulary.type(id);
    const bool special = type == TokenType::control || type == TokenType::unknown;
    const std::string_view text = vocabulary.text(id);
    if (text.empty() || (!special && type != TokenType::user_defined)) continue;
    entries_.push_back(
        {std::string(text), id, !special, false, strip_right && strips(text), false});
  }
  sort_entries();
}

SpecialIndex::SpecialIndex(std::span<const AddedToken> tokens) : unicode_spaces_(true) {
  for (const AddedToken& token : tokens) {
    if (token.text.empty()) continue;
    entries_.push_back({token.text, token.id, !token.special, token.strip_left, token.strip_right,
                        token.single_word});
    if (token.single_word && !word_) {
      word_.emplace(R"([\p{Alphabetic}\p{M}\p{Nd}\p{Pc}\x{200C}\x{200D}])");
    }
  }
  sort_entries();
}

void SpecialIndex::sort_entries() {
  std::sort(entries_.begin(), entries_.end(), [](const Entry& a, const Entry& b) {
    return a.text != b.text ? a.text < b.text : a.id < b.id;
  });
  const auto same = [](const Entry& a, const Entry& b) { return a.text == b.text; };
  entries_.erase(std::unique(entries_.begin(), entries_.end(), same), entries_.end());
  for (std::size_t byte = 0; byte <= 256; ++byte) {
    const auto first = std::partition_point(entries_.begin(), entries_.end(), [&](const Entry& e) {
      return static_cast<unsigned char>(e.text[0]) < byte;
    });
    by_first_[byte] = static_cast<std::uint32_t>(first - entries_.begin());
  }
}

// Narrows the sorted entries byte by byte, as one walks down a trie.
const SpecialIndex::Entry* SpecialIndex::longest_at(std::string_view text, std::size_t at,
                                                    bool parse_special) const {
  const auto first_byte = static_cast<unsigned char>(text[at]);
  auto low = entries_.begin() + by_first_[first_byte];
  auto high = entries_.begin() + by_first_[first_byte + 1U];
  const Entry* best = nullptr;
  for (std::size_t length = 1; low != high; ++length) {
    if (low->text.size() == length) {  // the shortest of those that begin alike comes first
      if (parse_special || low->user_defined) best = &*low;
      ++low;
    }
    if (at + length >= text.size()) break;
    const auto byte = static_cast<unsigned char>(text[at + length]);
    const auto byte_of = [length](const Entry& e) {
      return static_cast<unsigned char>(e.text[length]);
    };
    low = std::partition_point(low, high, [&](const Entry& e) { return byte_of(e) < byte; });
    high = std::partition_point(low, high, [&](const Entry& e) { return byte_of(e) == byte; });
  }
  return best;
}

bool SpecialIndex::inside_word(std::string_view text, std::size_t begin, std::size_t end) const {
  RegexSearch search;
  RegexSearch::Match match{};
  const auto is_word = [&](std::string_view character) {
    return search.find(*word_, character, 0, match);
  };
  if (begin > 0) {
    const std::size_t last = last_character(text.substr(0, begin));
    if (is_word(text.substr(last, begin - last))) return true;
  }
  return end < text.size() && is_word(text.substr(end, utf8_step(text, end).length));
}

std::size_t SpecialIndex::spaces_before(std::string_view text) const {
  std::size_t end = text.size();
  while (end > 0) {
    const std::size_t at = last_character(text.substr(0, end));
    if (!is_white_space(utf8_decode(text, at, utf8_step(text, at)))) break;
    end = at;
  }
  return text.size() - end;
}

std::size_t SpecialIndex::spaces_behind(std::string_view text) const {
  std::size_t at = 0;
  while (at < text.size()) {
    if (!unicode_spaces_) {
      if (!is_c_space(text[at])) break;
      ++at;
      continue;
    }
    const Utf8Step step = utf8_step(text, at);
    if (!is_white_space(utf8_decode(text, at, step))) break;
    at += step.length;
  }
  return at;
}

std::vector<Fragment> SpecialIndex::partition(std::string_view text, bool parse_special) const {
  std::vector<Fragment> fragments;
  std::size_t begin = 0;
  for (std::size_t at = 0; at < text.size();) {
    const Entry* entry = longest_at(text, at, parse_special);
    if (!entry) {
      ++at;
      continue;
    }
    const std::size_t after = at + entry->text.size();
    if (entry->single_word && inside_word(text, at, after)) {
      at = after;
      continue;
    }
    if (entry->strip_left) at -= spaces_before(text.substr(begin, at - begin));
    if (at > begin) fragments.push_back({text.substr(begin, at - begin), std::nullopt});
    fragments.push_back({{}, entry->id});
    at = begin = after + (entry->strip_right ? spaces_behind(text.substr(after)) : 0);
  }
  if (begin < text.size()) fragments.push_back({text.substr(begin), std::nullopt});
  return fragments;
}

}  // namespace strata::text
