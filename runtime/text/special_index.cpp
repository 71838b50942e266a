#include "runtime/text/special_index.h"

#include <algorithm>

namespace strata::text {
namespace {

bool is_c_space(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

bool strips(std::string_view text) {
  return text != "<unk>" && text != "<s>" && text != "<|endoftext|>";
}

}  // namespace

SpecialIndex::SpecialIndex(const Vocabulary& vocabulary, bool strip_right) {
  for (std::size_t i = 0; i < vocabulary.size(); ++i) {
    const auto id = static_cast<TokenId>(i);
    const TokenType type = vocabulary.type(id);
    const bool special = type == TokenType::control || type == TokenType::unknown;
    const std::string_view text = vocabulary.text(id);
    if (text.empty() || (!special && type != TokenType::user_defined)) continue;
    entries_.push_back({text, id, !special, strip_right && strips(text)});
  }
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

std::vector<Fragment> SpecialIndex::partition(std::string_view text, bool parse_special) const {
  std::vector<Fragment> fragments;
  std::size_t begin = 0;
  for (std::size_t at = 0; at < text.size();) {
    const Entry* entry = longest_at(text, at, parse_special);
    if (!entry) {
      ++at;
      continue;
    }
    if (at > begin) fragments.push_back({text.substr(begin, at - begin), std::nullopt});
    fragments.push_back({{}, entry->id});
    at += entry->text.size();
    while (entry->strip_right && at < text.size() && is_c_space(text[at])) ++at;
    begin = at;
  }
  if (begin < text.size()) fragments.push_back({text.substr(begin), std::nullopt});
  return fragments;
}

}  // namespace strata::text
