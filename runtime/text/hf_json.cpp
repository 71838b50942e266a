#include "runtime/text/hf_json.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <nlohmann/json.hpp>

#include "runtime/core/error.h"
#include "runtime/text/utf8.h"

namespace strata::text {
namespace {

using Json = nlohmann::json;

constexpr std::size_t kMaxFileBytes = std::size_t{256} << 20;
constexpr std::size_t kMaxDepth = 64;
constexpr std::size_t kMaxValues = std::size_t{1} << 20;
constexpr std::size_t kMaxVocab = std::size_t{1} << 22;
constexpr std::size_t kMaxMerges = std::size_t{1} << 23;

// Builds the tree, and fills the tables beside it.
class Builder : public nlohmann::json_sax<Json> {
 public:
  Builder(const std::string& subject, HfTables* tables) : subject_(subject), tables_(tables) {}

  Json take() { return std::move(root_); }

  bool null() override { return value(nullptr); }
  bool boolean(bool v) override { return value(v); }
  bool number_integer(std::int64_t v) override { return number(v); }
  bool number_unsigned(std::uint64_t v) override {
    const std::uint64_t most = std::numeric_limits<std::int64_t>::max();
    if (mode_ == Mode::tree) return value(v);
    return number(static_cast<std::int64_t>(std::min(v, most)));
  }
  bool number_float(double v, const std::string&) override { return value(v); }
  bool binary(binary_t&) override { return false; }  // JSON has none

  bool string(std::string& v) override {
    if (mode_ == Mode::tree) return value(std::move(v));
    if (mode_ == Mode::vocab) bad("model.vocab", "holds a text where an id should stand");
    if (mode_ == Mode::merges) {
      add_merge(v);
    } else if (pair_parts_ == 0) {
      tables_->merges.back().first = std::move(v);
      ++pair_parts_;
    } else if (pair_parts_++ == 1) {
      tables_->merges.back().second = std::move(v);
    } else {
      bad_pair();
    }
    return true;
  }

  bool start_object(std::size_t) override {
    if (mode_ != Mode::tree) bad(table_name(), "holds an object");
    if (tables_ != nullptr && at_model_key("vocab")) {
      once(tables_->has_vocab, "model.vocab");
      mode_ = Mode::vocab;
      return true;
    }
    open(Json::object());
    return true;
  }
  bool key(std::string& k) override {
    if (mode_ == Mode::vocab) {
      if (tables_->vocab.size() >= kMaxVocab) {
        bad("model.vocab", fmt::format("has more than {} tokens", kMaxVocab));
      }
      tables_->vocab.emplace_back(std::move(k), -1);
      return true;
    }
    if (stack_.back()->contains(k)) {
      bad(printable(k, 64), "the key stands twice in an object");
    }
    key_ = std::move(k);
    if (stack_.size() == 1) outer_key_ = key_;
    return true;
  }
  bool end_object() override {
    if (mode_ == Mode::vocab) {
      mode_ = Mode::tree;
      return true;
    }
    stack_.pop_back();
    return true;
  }

  bool start_array(std::size_t) override {
    if (mode_ == Mode::merges) {
      room_for_merge();
      tables_->merges.emplace_back();
      pair_parts_ = 0;
      mode_ = Mode::pair;
      return true;
    }
    if (mode_ != Mode::tree) bad(table_name(), "holds a list");
    if (tables_ != nullptr && at_model_key("vocab")) {
      throw Error(ErrorCode::unsupported_model, subject_,
                  "model.vocab is a list with scores: Unigram models are not supported",
                  "use the model's GGUF file");
    }
    if (tables_ != nullptr && at_model_key("merges")) {
      once(tables_->has_merges, "model.merges");
      mode_ = Mode::merges;
      return true;
    }
    open(Json::array());
    return true;
  }
  bool end_array() override {
    if (mode_ == Mode::pair) {
      if (pair_parts_ != 2) bad_pair();
      mode_ = Mode::merges;
    } else if (mode_ == Mode::merges) {
      mode_ = Mode::tree;
    } else {
      stack_.pop_back();
    }
    return true;
  }

  bool parse_error(std::size_t at, const std::string&,
                   const nlohmann::detail::exception& e) override {
    throw Error(ErrorCode::bad_model, subject_,
                fmt::format("is not JSON at byte {}: {}", at, printable(e.what(), 200)));
  }

 private:
  enum class Mode : std::uint8_t { tree, vocab, merges, pair };

  [[noreturn]] void bad(std::string_view key, std::string_view detail) const {
    throw Error(ErrorCode::bad_model, subject_, fmt::format("{}: {}", key, detail));
  }
  [[noreturn]] void bad_pair() const {
    bad("model.merges", fmt::format("merge {} is not two texts", tables_->merges.size() - 1));
  }
  std::string_view table_name() const {
    return mode_ == Mode::vocab ? "model.vocab" : "model.merges";
  }
  void once(bool& seen, std::string_view name) const {
    if (seen) bad(name, "the key stands twice in an object");
    seen = true;
  }
  bool at_model_key(std::string_view key) const {
    return stack_.size() == 2 && outer_key_ == "model" && stack_.back()->is_object() && key_ == key;
  }

  void room_for_merge() const {
    if (tables_->merges.size() >= kMaxMerges) {
      bad("model.merges", fmt::format("has more than {} merges", kMaxMerges));
    }
  }
  // The older form: "left right".
  void add_merge(const std::string& text) {
    room_for_merge();
    const std::size_t space = text.find(' ');
    if (space == std::string::npos || text.find(' ', space + 1) != std::string::npos) {
      bad("model.merges",
          fmt::format("merge {} (\"{}\") is not two texts with a space between them",
                      tables_->merges.size(), printable(text, 32)));
    }
    tables_->merges.emplace_back(text.substr(0, space), text.substr(space + 1));
  }

  bool number(std::int64_t v) {
    if (mode_ == Mode::tree) return value(v);
    if (mode_ != Mode::vocab) bad(table_name(), "holds a number");
    tables_->vocab.back().second = v;
    return true;
  }

  bool value(Json v) {
    if (mode_ != Mode::tree) bad(table_name(), "holds a value of a wrong type");
    put(std::move(v));
    return true;
  }
  Json* put(Json v) {
    if (++values_ > kMaxValues) bad("values", fmt::format("more than {}", kMaxValues));
    if (stack_.empty()) {
      root_ = std::move(v);
      return &root_;
    }
    Json& parent = *stack_.back();
    if (parent.is_array()) {
      parent.push_back(std::move(v));
      return &parent.back();
    }
    return &(parent[key_] = std::move(v));
  }
  void open(Json v) {
    if (stack_.size() >= kMaxDepth) bad("values", fmt::format("more than {} levels", kMaxDepth));
    stack_.push_back(put(std::move(v)));
  }

  const std::string& subject_;
  HfTables* tables_;
  Json root_;
  std::vector<Json*> stack_;  // open objects and lists; a list does not grow while a child is open
  std::string key_;
  std::string outer_key_;  // of the file's object
  Mode mode_ = Mode::tree;
  int pair_parts_ = 0;
  std::size_t values_ = 0;
};

}  // namespace

nlohmann::json parse_hf_json(std::string_view text, const std::string& subject, HfTables* tables) {
  if (text.size() > kMaxFileBytes) {
    throw Error(ErrorCode::bad_model, subject,
                fmt::format("{} bytes are more than {}", text.size(), kMaxFileBytes));
  }
  Builder builder(subject, tables);
  if (!Json::sax_parse(text.begin(), text.end(), &builder)) {
    throw Error(ErrorCode::bad_model, subject, "is not JSON");
  }
  Json json = builder.take();
  if (!json.is_object()) throw Error(ErrorCode::bad_model, subject, "is not a JSON object");
  return json;
}

}  // namespace strata::text
