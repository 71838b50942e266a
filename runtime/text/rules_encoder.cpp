#include "runtime/text/rules_encoder.h"

#include <algorithm>
#include <string>
#include <utility>

#include "runtime/text/utf8.h"

namespace strata::text {
namespace {

std::vector<AddedToken> tokens_of(const TextRules& rules, bool normalized) {
  std::vector<AddedToken> tokens;
  const Normalizer normalizer(rules.normalizer);
  for (const AddedToken& token : rules.added) {
    if (token.normalized != normalized) continue;
    tokens.push_back(token);
    if (normalized) tokens.back().text = normalizer.apply(token.text);
  }
  std::sort(tokens.begin(), tokens.end(),
            [](const AddedToken& a, const AddedToken& b) { return a.id < b.id; });
  return tokens;
}

bool wants(MarkerPrefix prefix, bool first) {
  return prefix == MarkerPrefix::always || (prefix == MarkerPrefix::first && first);
}

}  // namespace

RulesEncoder::RulesEncoder(const Vocabulary& vocabulary, TextRules rules)
    : normalized_tokens_(tokens_of(rules, true)),
      unknown_(vocabulary.special().unknown),
      prefix_(rules.prefix),
      suffix_(rules.suffix),
      raw_(tokens_of(rules, false)),
      normalizer_(rules.normalizer),
      normalized_(normalized_tokens_),
      prefix_space_(rules.prefix_space),
      mark_spaces_(rules.mark_spaces),
      marker_prefix_(rules.marker_prefix),
      sentencepiece_prefix_(rules.sentencepiece_prefix) {
  if (rules.sentencepiece) {
    sentencepiece_.emplace(*rules.sentencepiece, "tokenizer.model");
    spm_.emplace(vocabulary);
  } else {
    bpe_.emplace(vocabulary, rules);
  }
}

void RulesEncoder::encode(std::string_view text, bool add_special, bool parse_special,
                          std::vector<TokenId>& out) const {
  std::string clean;
  if (!is_utf8(text)) {
    clean = replace_bad_bytes(text);
    text = clean;
  }
  if (add_special) out.insert(out.end(), prefix_.begin(), prefix_.end());
  for (const Fragment& fragment : raw_.partition(text, parse_special)) {
    if (fragment.token) {
      out.push_back(*fragment.token);
    } else {
      encode_fragment(fragment.text, fragment.text.data() == text.data(), parse_special, out);
    }
  }
  if (add_special) out.insert(out.end(), suffix_.begin(), suffix_.end());
}

std::string_view RulesEncoder::normalized_text(TokenId id) const {
  const auto found = std::partition_point(normalized_tokens_.begin(), normalized_tokens_.end(),
                                          [id](const AddedToken& token) { return token.id < id; });
  return found != normalized_tokens_.end() && found->id == id ? std::string_view(found->text)
                                                              : std::string_view();
}

// A text between added tokens; `first`: it begins the whole text.
void RulesEncoder::encode_fragment(std::string_view text, bool first, bool parse_special,
                                   std::vector<TokenId>& out) const {
  std::string changed;
  if (!normalizer_.empty()) {
    changed = normalizer_.apply(text);
    text = changed;
  }
  if (normalized_.empty()) return encode_plain(text, first, out);
  for (const Fragment& fragment : normalized_.partition(text, parse_special)) {
    if (fragment.token) {
      out.push_back(*fragment.token);
    } else {
      encode_plain(fragment.text, first && fragment.text.data() == text.data(), out);
    }
  }
}

void RulesEncoder::encode_plain(std::string_view text, bool first,
                                std::vector<TokenId>& out) const {
  if (text.empty()) return;
  if (spm_) {
    const auto begin = static_cast<std::ptrdiff_t>(out.size());
    spm_->encode(sentencepiece_->apply(text, wants(sentencepiece_prefix_, first)), out);
    // SentencePiece makes one unknown token of several side by side.
    const auto both_unknown = [this](TokenId a, TokenId b) { return a == b && a == unknown_; };
    out.erase(std::unique(out.begin() + begin, out.end(), both_unknown), out.end());
    return;
  }
  std::string changed;
  if (mark_spaces_) {
    changed = replace_all(text, " ", kSpaceMarker);
    if (wants(marker_prefix_, first) && !changed.starts_with(kSpaceMarker)) {
      changed.insert(0, kSpaceMarker);
    }
    text = changed;
  } else if (prefix_space_ && !text.starts_with(' ')) {
    changed = " ";
    changed += text;
    text = changed;
  }
  bpe_->encode(text, out);
}

}  // namespace strata::text
