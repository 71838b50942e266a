#include "runtime/text/hf_directory.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <unordered_map>

#include "runtime/core/error.h"
#include "runtime/text/hf_fields.h"
#include "runtime/text/hf_json.h"
#include "runtime/text/hf_pipeline.h"
#include "runtime/text/hf_sentencepiece.h"
#include "runtime/text/hf_tokenizer_json.h"
#include "runtime/text/utf8.h"

namespace strata::text {
namespace {

constexpr std::size_t kMaxSpecialBytes = 1024;
constexpr std::size_t kMaxEnds = 1024;

// A special token's name: a text, or an added token as an object.
std::optional<std::string> token_text(const HfFields& fields, std::string_view key) {
  const nlohmann::json* value = fields.find(key);
  if (value == nullptr || !value->is_object()) return fields.text(key);
  return fields.object(key).require_text("content");
}

// Adds what the files beside the tokenizer's own say.
class Directory {
 public:
  Directory(const HfTexts& texts, VocabularyData& data)
      : texts_(texts), data_(data), rules_(*data.rules) {
    for (std::size_t i = 0; i < rules_.added.size(); ++i) added_[rules_.added[i].id] = i;
  }

  void run() {
    const std::string config_name = subject("tokenizer_config.json");
    const nlohmann::json config = parse(texts_.tokenizer_config, config_name);
    const HfFields fields(config, config_name, "");
    if (fields.flag("split_special_tokens").value_or(false)) {
      fields.unsupported("split_special_tokens is not supported");
    }
    read_added_tokens(fields);
    for (std::size_t i = 0; i < data_.tokens.size(); ++i) {
      if (!data_.tokens[i].empty()) ids_.emplace(data_.tokens[i], static_cast<TokenId>(i));
    }
    const std::string map_name = subject("special_tokens_map.json");
    const nlohmann::json map = parse(texts_.special_tokens_map, map_name);
    read_special_tokens(fields, HfFields(map, map_name, ""));
    read_legacy(fields);
    read_template(fields);
    read_ends();
  }

 private:
  std::string subject(std::string_view file) const {
    return fmt::format("{}/{}", texts_.directory, file);
  }
  static nlohmann::json parse(const std::optional<std::string_view>& text,
                              const std::string& name) {
    return text ? parse_hf_json(*text, name) : nlohmann::json::object();
  }

  void read_added_tokens(const HfFields& config) {
    if (config.find("added_tokens_decoder") == nullptr) return;
    const HfFields decoder = config.object("added_tokens_decoder");
    std::vector<std::pair<std::size_t, std::string>> order;  // the file's is by text
    for (const auto& item : config.find("added_tokens_decoder")->items()) {
      const std::string& key = item.key();
      std::size_t id = 0;
      const auto end = key.data() + key.size();
      const auto parsed = std::from_chars(key.data(), end, id);
      if (parsed.ec != std::errc() || parsed.ptr != end || key.empty()) {
        decoder.bad(fmt::format("\"{}\" is not a token id", printable(key, 32)));
      }
      order.emplace_back(id, key);
    }
    std::sort(order.begin(), order.end());
    for (const auto& [id, key] : order) add_token(decoder.object(key), id);
  }

  // A token that the tokenizer's own file may know, and then with other flags.
  void add_token(const HfFields& fields, std::size_t id) {
    if (id > data_.tokens.size() + kMaxEnds) {
      fields.bad(fmt::format("the vocabulary has {} tokens", data_.tokens.size()));
    }
    const AddedToken token = read_hf_added_token(fields, static_cast<TokenId>(id));
    if (token.text.empty()) return;
    if (token.text.size() > kMaxSpecialBytes) {
      fields.bad(fmt::format("has {} bytes, more than {}", token.text.size(), kMaxSpecialBytes));
    }
    const auto unused = static_cast<std::int32_t>(TokenType::unused);
    if (id >= data_.tokens.size()) {
      data_.tokens.resize(id + 1);
      data_.types.resize(id + 1, unused);
      if (!data_.scores.empty()) data_.scores.resize(id + 1, 0);
    }
    std::string& text = data_.tokens[id];
    if (text.empty()) {
      text = token.text;
      rules_.added_only.push_back(token.id);
      std::sort(rules_.added_only.begin(), rules_.added_only.end());
    } else if (text != token.text) {
      fields.bad(fmt::format("\"{}\" is \"{}\" in the vocabulary", printable(token.text, 64),
                             printable(text, 64)));
    }
    place(token);
  }

  void place(const AddedToken& token) {
    const auto type = token.special ? TokenType::control : TokenType::user_defined;
    data_.types[static_cast<std::size_t>(token.id)] = static_cast<std::int32_t>(type);
    const auto [entry, fresh] = added_.emplace(token.id, rules_.added.size());
    if (fresh) {
      rules_.added.push_back(token);
    } else {
      rules_.added[entry->second] = token;
    }
  }

  std::optional<std::int64_t> read_token(const HfFields& config, const HfFields& map,
                                         std::string_view key, std::optional<std::int64_t> known) {
    auto text = token_text(config, key);
    if (!text) text = token_text(map, key);
    if (!text) return known;
    const auto found = ids_.find(*text);
    if (found == ids_.end()) return std::nullopt;  // Hugging Face would make a token of it
    make_special(found->second);
    return found->second;
  }

  // Tokens with a meaning are looked for in texts even where no list of added tokens has them.
  void make_special(TokenId id) {
    const std::string& text = data_.tokens[static_cast<std::size_t>(id)];
    if (added_.contains(id) || text.size() > kMaxSpecialBytes) return;
    place({.id = id, .text = text, .special = true});
  }

  void read_special_tokens(const HfFields& config, const HfFields& map) {
    data_.bos = read_token(config, map, "bos_token", data_.bos);
    data_.eos = read_token(config, map, "eos_token", data_.eos);
    data_.unknown = read_token(config, map, "unk_token", data_.unknown);
    data_.padding = read_token(config, map, "pad_token", data_.padding);
    data_.separator = read_token(config, map, "sep_token", data_.separator);
    data_.mask = read_token(config, map, "mask_token", data_.mask);
    for (const HfFields* fields : {&config, &map}) {
      const nlohmann::json* list = fields->find("additional_special_tokens");
      if (list == nullptr) list = fields->find("extra_special_tokens");
      if (list == nullptr || !list->is_array()) continue;
      for (const nlohmann::json& token : *list) {
        if (!token.is_string()) continue;  // objects stand in added_tokens_decoder too
        const auto found = ids_.find(token.get<std::string>());
        if (found != ids_.end()) make_special(found->second);
      }
    }
  }

  void read_legacy(const HfFields& config) {
    const bool legacy = config.flag("legacy").value_or(true);
    rules_.sentencepiece_prefix = legacy ? MarkerPrefix::always : MarkerPrefix::first;
  }

  void read_template(const HfFields& config) {
    const std::optional<bool> bos = config.flag("add_bos_token");
    const std::optional<bool> eos = config.flag("add_eos_token");
    const bool model = rules_.sentencepiece.has_value();
    set(rules_.prefix, bos, model, data_.bos);
    set(rules_.suffix, eos, false, data_.eos);
  }
  // `otherwise`: what counts where the files do not say.
  static void set(std::vector<TokenId>& list, std::optional<bool> wanted, bool otherwise,
                  std::optional<std::int64_t> id) {
    if (!wanted && !otherwise) return;
    list.clear();
    if (wanted.value_or(otherwise) && id) list.push_back(static_cast<TokenId>(*id));
  }

  void read_ends() {
    const bool generation = texts_.generation_config.has_value();
    const std::string name = subject(generation ? "generation_config.json" : "config.json");
    const nlohmann::json json = parse(generation ? texts_.generation_config : texts_.config, name);
    const HfFields fields(json, name, "");
    const nlohmann::json* ends = fields.find("eos_token_id");
    if (ends == nullptr && fields.find("text_config") != nullptr) {
      ends = fields.object("text_config").find("eos_token_id");
    }
    if (ends == nullptr) return;
    if (!ends->is_array()) return add_end(fields, *ends);
    if (ends->size() > kMaxEnds) {
      fields.bad(fmt::format("eos_token_id has {} ids, more than {}", ends->size(), kMaxEnds));
    }
    for (const nlohmann::json& end : *ends) add_end(fields, end);
  }
  void add_end(const HfFields& fields, const nlohmann::json& end) {
    if (!end.is_number_unsigned() || end.get<std::uint64_t>() >= data_.tokens.size()) {
      fields.bad(fmt::format("eos_token_id: {} is no id of the vocabulary of {} tokens",
                             printable(end.dump(-1, ' ', true), 32), data_.tokens.size()));
    }
    rules_.end_of_generation.push_back(end.get<TokenId>());
  }

  const HfTexts& texts_;
  VocabularyData& data_;
  TextRules& rules_;
  std::unordered_map<TokenId, std::size_t> added_;  // places in rules_.added
  std::unordered_map<std::string_view, TokenId> ids_;
};

}  // namespace

VocabularyData read_hf_vocabulary(const HfTexts& texts) {
  VocabularyData data;
  if (texts.tokenizer_json) {
    data = read_hf_tokenizer_json(*texts.tokenizer_json, texts.directory + "/tokenizer.json");
  } else if (texts.tokenizer_model) {
    data = read_sentencepiece_model(std::as_bytes(std::span(*texts.tokenizer_model)),
                                    texts.directory + "/tokenizer.model");
  } else {
    throw Error(ErrorCode::bad_model, texts.directory,
                "holds neither tokenizer.json nor tokenizer.model",
                "download one of them, or give token ids with --ids");
  }
  Directory(texts, data).run();
  return data;
}

}  // namespace strata::text
