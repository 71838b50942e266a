#include "runtime/text/hf_pipeline.h"

#include <fmt/format.h>

#include <functional>

#include "runtime/core/error.h"
#include "runtime/text/hf_regex.h"
#include "runtime/text/utf8.h"

namespace strata::text {
namespace {

constexpr std::size_t kMaxSteps = 64;
constexpr std::string_view kGpt2Pattern =
    R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";

// Calls `step` for the description under `key`, or for each of a Sequence's.
void each_step(const HfFields& file, std::string_view key, std::string_view list_key,
               const std::function<void(const HfFields&, const std::string& type)>& step) {
  if (file.find(key) == nullptr) return;
  const HfFields top = file.object(key);
  const std::string type = top.require_text("type");
  if (type != "Sequence") return step(top, type);
  top.only({"type", list_key});
  const nlohmann::json* steps = top.list(list_key);
  if (steps == nullptr) top.bad(fmt::format("{} is missing", list_key));
  if (steps->size() > kMaxSteps) {
    top.unsupported(fmt::format("{} steps are more than {}", steps->size(), kMaxSteps));
  }
  for (std::size_t i = 0; i < steps->size(); ++i) {
    const HfFields fields((*steps)[i], file.subject(),
                          fmt::format("{}[{}]", top.place(list_key), i));
    step(fields, fields.require_text("type"));
  }
}

[[noreturn]] void unknown_type(const HfFields& fields, const std::string& type) {
  fields.unsupported(fmt::format("type \"{}\" is not supported", printable(type, 64)));
}

// "pattern": {"String": text} or {"Regex": text}.
std::string string_pattern(const HfFields& fields) {
  const HfFields pattern = fields.object("pattern");
  if (pattern.find("Regex") != nullptr) fields.unsupported("a Regex pattern is not supported here");
  pattern.only({"String"});
  std::string text = pattern.require_text("String");
  if (text.empty()) fields.bad("the pattern is empty");
  return text;
}

std::string split_pattern(const HfFields& fields) {
  const HfFields pattern = fields.object("pattern");
  pattern.only({"String", "Regex"});
  if (const auto text = pattern.text("Regex")) return translate_hf_regex(*text, fields.subject());
  return literal_pattern(string_pattern(fields));
}

SplitKind split_kind(const HfFields& fields, const std::string& behavior) {
  if (behavior == "Isolated") return SplitKind::isolate;
  if (behavior == "Contiguous") return SplitKind::contiguous;
  if (behavior == "MergedWithPrevious") return SplitKind::with_previous;
  if (behavior == "MergedWithNext") return SplitKind::with_next;
  fields.unsupported(fmt::format("behavior \"{}\" is not supported", printable(behavior, 64)));
}

MarkerPrefix marker_prefix(const HfFields& fields) {
  const std::string scheme = fields.text("prepend_scheme").value_or("always");
  const bool prefix = fields.flag("add_prefix_space").value_or(true);
  if (scheme == "never" || !prefix) return MarkerPrefix::never;
  if (scheme == "always") return MarkerPrefix::always;
  if (scheme == "first") return MarkerPrefix::first;
  fields.unsupported(fmt::format("prepend_scheme \"{}\" is not known", printable(scheme, 64)));
}

void check_metaspace(const HfFields& fields) {
  fields.only({"type", "replacement", "prepend_scheme", "split", "add_prefix_space", "str_rep"});
  if (fields.text("replacement").value_or(std::string(kSpaceMarker)) != kSpaceMarker) {
    fields.unsupported("a replacement other than U+2581 is not supported");
  }
}

class PreTokenizerReader {
 public:
  explicit PreTokenizerReader(TextRules& rules) : rules_(rules) {}

  void step(const HfFields& fields, const std::string& type) {
    if (type == "ByteLevel") return byte_level(fields);
    if (type == "Split") return split(fields);
    if (type == "Digits") return digits(fields);
    if (type == "Punctuation") return punctuation(fields);
    if (type == "Metaspace") return metaspace(fields);
    unknown_type(fields, type);
  }

 private:
  void add(const HfFields& fields, SplitKind kind, std::string pattern, bool invert = false) {
    try {
      const Regex compiled(pattern);
    } catch (const Error& error) {
      fields.unsupported(error.detail());
    }
    rules_.splits.push_back({kind, std::move(pattern), invert, rules_.byte_level});
  }

  void byte_level(const HfFields& fields) {
    fields.only({"type", "add_prefix_space", "trim_offsets", "use_regex"});
    if (rules_.byte_level) fields.unsupported("ByteLevel stands twice");
    if (fields.flag("add_prefix_space").value_or(true)) {
      if (!rules_.splits.empty()) {
        fields.unsupported("add_prefix_space is true behind other steps: not supported");
      }
      rules_.prefix_space = true;
    }
    if (fields.flag("use_regex").value_or(true)) {
      add(fields, SplitKind::isolate, std::string(kGpt2Pattern));
    }
    rules_.byte_level = true;  // what comes behind sees the byte alphabet
  }

  void split(const HfFields& fields) {
    fields.only({"type", "pattern", "behavior", "invert"});
    const SplitKind kind = split_kind(fields, fields.require_text("behavior"));
    add(fields, kind, split_pattern(fields), fields.flag("invert").value_or(false));
  }

  void digits(const HfFields& fields) {
    fields.only({"type", "individual_digits"});
    const bool each = fields.flag("individual_digits").value_or(false);
    add(fields, each ? SplitKind::isolate : SplitKind::contiguous, R"(\p{N})");
  }

  void punctuation(const HfFields& fields) {
    fields.only({"type", "behavior"});
    const SplitKind kind = split_kind(fields, fields.text("behavior").value_or("Isolated"));
    add(fields, kind, R"([\p{P}!-/:-@\[-`{-~])");
  }

  void metaspace(const HfFields& fields) {
    check_metaspace(fields);
    if (rules_.byte_level || rules_.mark_spaces || !rules_.splits.empty()) {
      fields.unsupported("Metaspace behind other steps is not supported");
    }
    rules_.mark_spaces = true;
    rules_.marker_prefix = marker_prefix(fields);
    if (fields.flag("split").value_or(true)) {
      add(fields, SplitKind::with_next, std::string(kSpaceMarker));
    }
  }

  TextRules& rules_;
};

void normalizer_step(const HfFields& fields, const std::string& type, TextRules& rules) {
  using Kind = NormalizerStep::Kind;
  static constexpr std::pair<std::string_view, Kind> kForms[] = {
      {"NFC", Kind::nfc}, {"NFD", Kind::nfd}, {"NFKC", Kind::nfkc}, {"NFKD", Kind::nfkd}};
  for (const auto& [name, kind] : kForms) {
    if (type != name) continue;
    fields.only({"type"});
    rules.normalizer.push_back({kind, {}, {}});
    return;
  }
  if (type == "Prepend") {
    fields.only({"type", "prepend"});
    rules.normalizer.push_back({Kind::prepend, fields.require_text("prepend"), {}});
  } else if (type == "Replace") {
    fields.only({"type", "pattern", "content"});
    rules.normalizer.push_back(
        {Kind::replace, fields.require_text("content"), string_pattern(fields)});
  } else {
    unknown_type(fields, type);
  }
}

class DecoderReader {
 public:
  explicit DecoderReader(TextRules& rules) : rules_(rules) {}

  void step(const HfFields& fields, const std::string& type) {
    if (type == "ByteLevel") {
      byte_level_ = true;
    } else if (type == "Fuse") {
      fused_ = true;
    } else if (type == "ByteFallback") {
      if (fused_) fields.unsupported("ByteFallback behind Fuse is not supported");
      rules_.byte_tokens = true;
    } else if (type == "Replace") {
      fields.only({"type", "pattern", "content"});
      if (string_pattern(fields) != kSpaceMarker || fields.require_text("content") != " ") {
        fields.unsupported("only U+2581 may become a space");
      }
      spaces_ = true;
    } else if (type == "Strip") {
      strip(fields);
    } else if (type == "Metaspace") {
      check_metaspace(fields);
      spaces_ = true;
      rules_.strip_first_space = marker_prefix(fields) != MarkerPrefix::never;
    } else {
      unknown_type(fields, type);
    }
  }

  void finish(const HfFields& file) const {
    if (rules_.byte_level != byte_level_ || (byte_level_ && (spaces_ || rules_.byte_tokens))) {
      file.unsupported("decoder: it does not undo what pre_tokenizer does (ByteLevel)");
    }
    if (!byte_level_ && !spaces_) {
      file.unsupported("decoder: without U+2581 becoming a space it is not supported");
    }
  }

 private:
  void strip(const HfFields& fields) {
    fields.only({"type", "content", "start", "stop"});
    const std::int64_t start = fields.integer("start").value_or(0);
    if (fields.require_text("content") != " " || fields.integer("stop").value_or(0) != 0 ||
        start < 0 || start > 1) {
      fields.unsupported("only one space at the start may be stripped");
    }
    if (start == 0) return;
    if (!fused_ || !spaces_) fields.unsupported("Strip before Fuse is not supported");
    rules_.strip_first_space = true;
  }

  TextRules& rules_;
  bool byte_level_ = false;
  bool spaces_ = false;
  bool fused_ = false;
};

std::vector<TokenId> template_ids(const HfFields& fields, const std::string& name) {
  const HfFields token = fields.object("special_tokens").object(name);
  const nlohmann::json* list = token.list("ids");
  if (list == nullptr) token.bad("ids is missing");
  std::vector<TokenId> ids;
  for (const nlohmann::json& id : *list) {
    if (!id.is_number_unsigned() || id.get<std::uint64_t>() > 0x7FFFFFFF) {
      token.bad("ids holds something else than token ids");
    }
    ids.push_back(id.get<TokenId>());
  }
  return ids;
}

void template_step(const HfFields& fields, TextRules& rules) {
  fields.only({"type", "single", "pair", "special_tokens"});
  const nlohmann::json* single = fields.list("single");
  if (single == nullptr) fields.bad("single is missing");
  std::vector<TokenId> prefix;
  bool behind = false;
  for (std::size_t i = 0; i < single->size() && i <= kMaxSteps; ++i) {
    const HfFields piece((*single)[i], fields.subject(),
                         fmt::format("{}[{}]", fields.place("single"), i));
    piece.only({"Sequence", "SpecialToken"});
    if (piece.find("Sequence") != nullptr) {
      if (behind || piece.object("Sequence").require_text("id") != "A") {
        piece.unsupported("a template with more than one text is not supported");
      }
      behind = true;
      continue;
    }
    const auto ids = template_ids(fields, piece.object("SpecialToken").require_text("id"));
    auto& list = behind ? rules.suffix : prefix;
    list.insert(list.end(), ids.begin(), ids.end());
    if (list.size() > kMaxSteps) fields.unsupported("adds too many tokens");
  }
  if (!behind || single->size() > kMaxSteps) fields.bad("single has no text, or too many parts");
  rules.prefix.insert(rules.prefix.begin(), prefix.begin(), prefix.end());
}

}  // namespace

AddedToken read_hf_added_token(const HfFields& fields, TokenId id) {
  fields.only(
      {"id", "content", "single_word", "lstrip", "rstrip", "normalized", "special", "__type"});
  AddedToken token;
  token.id = id;
  token.text = fields.require_text("content");
  token.special = fields.flag("special").value_or(false);
  token.normalized = fields.flag("normalized").value_or(!token.special);
  token.strip_left = fields.flag("lstrip").value_or(false);
  token.strip_right = fields.flag("rstrip").value_or(false);
  token.single_word = fields.flag("single_word").value_or(false);
  return token;
}

void read_hf_normalizer(const HfFields& file, TextRules& rules) {
  each_step(file, "normalizer", "normalizers",
            [&](const HfFields& fields, const std::string& type) {
              normalizer_step(fields, type, rules);
            });
}

void read_hf_pre_tokenizer(const HfFields& file, TextRules& rules) {
  rules.byte_level = false;
  PreTokenizerReader reader(rules);
  each_step(file, "pre_tokenizer", "pretokenizers",
            [&](const HfFields& fields, const std::string& type) { reader.step(fields, type); });
}

void read_hf_decoder(const HfFields& file, TextRules& rules) {
  DecoderReader reader(rules);
  each_step(file, "decoder", "decoders",
            [&](const HfFields& fields, const std::string& type) { reader.step(fields, type); });
  reader.finish(file);
}

void read_hf_post_processor(const HfFields& file, TextRules& rules) {
  each_step(file, "post_processor", "processors",
            [&](const HfFields& fields, const std::string& type) {
              if (type == "ByteLevel") return;  // changes offsets only
              if (type != "TemplateProcessing") unknown_type(fields, type);
              template_step(fields, rules);
            });
}

}  // namespace strata::text
