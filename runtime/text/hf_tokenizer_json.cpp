#include "runtime/text/hf_tokenizer_json.h"

#include <fmt/format.h>

#include <algorithm>

#include "runtime/core/error.h"
#include "runtime/text/hf_fields.h"
#include "runtime/text/hf_json.h"
#include "runtime/text/hf_pipeline.h"
#include "runtime/text/text_index.h"
#include "runtime/text/utf8.h"

namespace strata::text {
namespace {

constexpr std::size_t kMaxTokenBytes = 64 * 1024;
constexpr std::size_t kMaxSpecialBytes = 1024;
constexpr std::int64_t kMaxHoles = 1 << 16;

// Ids are dense but for a few holes, so that what is allocated follows from what is in the file.
class Reader {
 public:
  Reader(const HfFields& file, HfTables& tables) : file_(file), tables_(tables) {}

  VocabularyData run() {
    file_.only({"version", "truncation", "padding", "added_tokens", "normalizer", "pre_tokenizer",
                "post_processor", "decoder", "model"});
    check_model(file_.object("model"));
    rules_.byte_level = false;
    read_hf_normalizer(file_, rules_);
    read_hf_pre_tokenizer(file_, rules_);
    read_hf_decoder(file_, rules_);
    read_hf_post_processor(file_, rules_);
    place_tokens();
    read_added();
    read_unknown(file_.object("model"));
    read_merges();
    for (const auto* ids : {&rules_.prefix, &rules_.suffix}) {
      for (const TokenId id : *ids) require_id("post_processor", id);
    }
    data_.model = "gpt2";
    data_.rules = std::move(rules_);
    return std::move(data_);
  }

 private:
  void check_model(const HfFields& model) {
    const std::string type = model.text("type").value_or(tables_.has_merges ? "BPE" : "");
    if (type != "BPE") {
      model.unsupported(
          fmt::format("type \"{}\" is not supported, only BPE is", printable(type, 64)));
    }
    model.only({"type", "dropout", "unk_token", "continuing_subword_prefix", "end_of_word_suffix",
                "fuse_unk", "byte_fallback", "ignore_merges"});
    const nlohmann::json* dropout = model.find("dropout");
    if (dropout != nullptr && !(dropout->is_number() && dropout->get<double>() == 0)) {
      model.unsupported("dropout is not supported");
    }
    for (const char* key : {"continuing_subword_prefix", "end_of_word_suffix"}) {
      if (!model.text(key).value_or("").empty()) {
        model.unsupported(fmt::format("{} is not supported", key));
      }
    }
    rules_.fuse_unknown = model.flag("fuse_unk").value_or(false);
    rules_.byte_fallback = model.flag("byte_fallback").value_or(false);
    rules_.ignore_merges = model.flag("ignore_merges").value_or(false);
    if (!tables_.has_vocab || tables_.vocab.empty()) model.bad("vocab is missing or empty");
    if (!tables_.has_merges) model.bad("merges is missing");
  }

  std::int64_t id_limit(std::size_t entries) const {
    return 4 * static_cast<std::int64_t>(entries) + kMaxHoles;
  }

  void put(std::string_view place, std::string text, std::int64_t id, TokenType type) {
    const bool special = type != TokenType::normal;
    const std::size_t most = special ? kMaxSpecialBytes : kMaxTokenBytes;
    if (text.size() > most) {
      file_.bad(
          fmt::format("{}: token {} has {} bytes, more than {}", place, id, text.size(), most));
    }
    const auto at = static_cast<std::size_t>(id);
    if (at >= data_.tokens.size()) {
      data_.tokens.resize(at + 1);
      data_.types.resize(at + 1, static_cast<std::int32_t>(TokenType::unused));
    }
    if (data_.types[at] != static_cast<std::int32_t>(TokenType::unused)) {
      file_.bad(fmt::format("{}: \"{}\" and \"{}\" have the same id {}", place,
                            printable(data_.tokens[at], 64), printable(text, 64), id));
    }
    data_.tokens[at] = std::move(text);
    data_.types[at] = static_cast<std::int32_t>(type);
  }

  void place_tokens() {
    const std::int64_t limit = id_limit(tables_.vocab.size());
    for (auto& [text, id] : tables_.vocab) {
      if (id < 0 || id >= limit) {
        file_.bad(fmt::format("model.vocab: \"{}\" has id {}; {} tokens may have ids up to {}",
                              printable(text, 64), id, tables_.vocab.size(), limit - 1));
      }
      const bool byte = rules_.byte_tokens && parse_byte_token(text);
      put("model.vocab", std::move(text), id, byte ? TokenType::byte : TokenType::normal);
    }
    tables_.vocab.clear();
    tables_.vocab.shrink_to_fit();
    // The index borrows the texts: they must not move when added tokens come behind them.
    data_.tokens.reserve(std::max(data_.tokens.size(), most_added_id() + 1));
    ids_ = TextIndex(data_.tokens.size());
    for (std::size_t id = 0; id < data_.tokens.size(); ++id) {
      if (data_.types[id] == static_cast<std::int32_t>(TokenType::unused)) continue;
      const std::size_t before = ids_.size();
      ids_.insert(data_.tokens[id], static_cast<std::int32_t>(id));
      if (ids_.size() == before) {
        file_.bad(fmt::format("model.vocab: \"{}\" stands twice", printable(data_.tokens[id], 64)));
      }
    }
  }

  std::int64_t added_limit(const nlohmann::json& list) const {
    return id_limit(data_.tokens.size() + list.size());
  }
  std::size_t most_added_id() const {
    const nlohmann::json* list = file_.list("added_tokens");
    std::int64_t most = 0;
    for (std::size_t i = 0; list != nullptr && i < list->size(); ++i) {
      const HfFields fields((*list)[i], file_.subject(), fmt::format("added_tokens[{}]", i));
      const std::int64_t id = fields.integer("id").value_or(-1);
      if (id < 0 || id >= added_limit(*list)) fields.bad(fmt::format("id {} is out of range", id));
      most = std::max(most, id);
    }
    return static_cast<std::size_t>(most);
  }

  void read_added() {
    const nlohmann::json* list = file_.list("added_tokens");
    if (list == nullptr) return;
    for (std::size_t i = 0; i < list->size(); ++i) {
      const HfFields fields((*list)[i], file_.subject(), fmt::format("added_tokens[{}]", i));
      const std::int64_t id = *fields.integer("id");  // checked by most_added_id
      const AddedToken token = read_hf_added_token(fields, static_cast<TokenId>(id));
      if (token.text.empty()) continue;  // never found in a text
      const auto known = ids_.find(token.text);
      const auto type = token.special ? TokenType::control : TokenType::user_defined;
      if (!known) {
        put(fields.place("id"), token.text, id, type);
        rules_.added_only.push_back(token.id);
        const std::size_t before = added_ids_.size();
        added_ids_.insert(data_.tokens[static_cast<std::size_t>(id)], token.id);
        if (added_ids_.size() == before) twice(fields, token);
      } else if (*known != id) {
        fields.bad(fmt::format("\"{}\" has id {}, but {} in model.vocab", printable(token.text, 64),
                               id, *known));
      } else if (token.text.size() > kMaxSpecialBytes) {
        fields.bad(fmt::format("has {} bytes, more than {}", token.text.size(), kMaxSpecialBytes));
      } else {
        std::int32_t& old = data_.types[static_cast<std::size_t>(id)];
        if (old == static_cast<std::int32_t>(TokenType::control) ||
            old == static_cast<std::int32_t>(TokenType::user_defined)) {
          twice(fields, token);
        }
        old = static_cast<std::int32_t>(type);
      }
      rules_.added.push_back(token);
    }
    std::sort(rules_.added_only.begin(), rules_.added_only.end());
  }

  [[noreturn]] static void twice(const HfFields& fields, const AddedToken& token) {
    fields.bad(fmt::format("\"{}\" stands twice", printable(token.text, 64)));
  }

  void read_unknown(const HfFields& model) {
    const auto text = model.text("unk_token");
    if (!text) return;
    const auto id = ids_.find(*text);
    if (!id) model.bad(fmt::format("unk_token \"{}\" is not in vocab", printable(*text, 64)));
    data_.unknown = *id;
  }

  TokenId merge_part(std::size_t rank, const std::string& text) const {
    const auto id = ids_.find(text);
    if (!id) {
      file_.bad(fmt::format("model.merges: merge {}: \"{}\" is not in model.vocab", rank,
                            printable(text, 64)));
    }
    return *id;
  }

  void read_merges() {
    rules_.merges.reserve(tables_.merges.size());
    for (std::size_t rank = 0; rank < tables_.merges.size(); ++rank) {
      const auto& [left, right] = tables_.merges[rank];
      if (left.size() + right.size() > kMaxTokenBytes) {
        file_.bad(fmt::format("model.merges: merge {} is too long", rank));
      }
      rules_.merges.push_back(
          {merge_part(rank, left), merge_part(rank, right), merge_part(rank, left + right)});
    }
  }

  void require_id(std::string_view place, TokenId id) const {
    const bool known = id >= 0 && static_cast<std::size_t>(id) < data_.tokens.size();
    if (!known) {
      file_.bad(fmt::format("{}: token {} lies outside the vocabulary of {} tokens", place, id,
                            data_.tokens.size()));
    }
  }

  const HfFields& file_;
  HfTables& tables_;
  VocabularyData data_;
  TextRules rules_;
  TextIndex ids_;        // of model.vocab; borrows data_.tokens
  TextIndex added_ids_;  // of added_tokens that are not in it; likewise
};

}  // namespace

VocabularyData read_hf_tokenizer_json(std::string_view text, const std::string& subject) {
  HfTables tables;
  const nlohmann::json json = parse_hf_json(text, subject, &tables);
  return Reader(HfFields(json, subject, ""), tables).run();
}

}  // namespace strata::text
