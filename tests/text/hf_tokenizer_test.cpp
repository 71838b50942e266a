// tokenizer.json and tokenizer.model files of every shape that published models have, against what
// Hugging Face's tokenizers and SentencePiece make of texts (hf/make_cases.py wrote both down), and
// the Hugging Face side of the reference models against the GGUF side.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>

#include "runtime/text/detokenizer.h"
#include "runtime/text/hf_directory.h"
#include "tests/support/shared_data.h"
#include "tests/text/gguf_vocabulary.h"

namespace strata::text::test {
namespace {

namespace fs = std::filesystem;

std::optional<std::string> read_file(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return std::nullopt;
  return std::string(std::istreambuf_iterator<char>(file), {});
}

fs::path folder() { return strata::test::source_root() / "tests/text/hf"; }

nlohmann::json read_cases() { return nlohmann::json::parse(*read_file(folder() / "cases.json")); }

std::shared_ptr<const Tokenizer> load(const std::string& name) {
  const auto json = read_file(folder() / (name + ".json"));
  const auto model = read_file(folder() / (name + ".model"));
  HfTexts texts{.directory = name};
  texts.tokenizer_json = json;
  texts.tokenizer_model = model;
  return Tokenizer::create(read_hf_vocabulary(texts));
}

TEST(HfTokenizer, EveryTextHasTheSameIdsAndComesBackTheSame) {
  const auto cases = read_cases();
  const auto texts = cases["texts"].get<std::vector<std::string>>();
  ASSERT_GE(cases["models"].size(), 19U);
  ASSERT_GE(texts.size(), 35U);
  for (const auto& [name, model] : cases["models"].items()) {
    SCOPED_TRACE(name);
    const auto tokenizer = load(name);
    for (std::size_t i = 0; i < texts.size(); ++i) {
      if (model["ids"][i].is_null()) continue;
      SCOPED_TRACE(fmt::format("text {}: {}", i, texts[i]));
      EXPECT_EQ(tokenizer->encode(texts[i]), model["ids"][i].get<std::vector<TokenId>>());
      const auto plain = tokenizer->encode(texts[i], {.add_special = false});
      const auto& decoded = model["decoded"];
      if (decoded.is_null()) continue;
      const std::string key = std::to_string(i);
      const std::string back = decoded.contains(key) ? decoded[key].get<std::string>() : texts[i];
      EXPECT_EQ(decode(tokenizer, plain, {.show_control = true, .strip_first_space = true}), back);
    }
  }
}

std::shared_ptr<const Tokenizer> load_directory(const fs::path& path) {
  const auto json = read_file(path / "tokenizer.json");
  const auto model = read_file(path / "tokenizer.model");
  const auto tokenizer_config = read_file(path / "tokenizer_config.json");
  const auto config = read_file(path / "config.json");
  HfTexts texts{.directory = path.string()};
  texts.tokenizer_json = json;
  texts.tokenizer_model = model;
  texts.tokenizer_config = tokenizer_config;
  texts.config = config;
  return Tokenizer::create(read_hf_vocabulary(texts));
}

// SentencePiece's table of replacements and the spaces it drops are not in the GGUF file.
bool is_plain(std::string_view text) {
  const auto printable = [](char c) { return c >= ' ' && c <= '~'; };
  return std::all_of(text.begin(), text.end(), printable) && !text.starts_with(' ') &&
         !text.ends_with(' ') && text.find("<s>") == std::string_view::npos &&
         text.find("  ") == std::string_view::npos;
}

TEST(HfReferenceModels, PromptIdsAndTextsAreTheSameAsOfTheGgufFile) {
  STRATA_NEEDS_SHARED();
  const auto texts = read_cases()["texts"].get<std::vector<std::string>>();
  std::size_t models = 0;
  for (const auto& entry :
       fs::directory_iterator(strata::test::shared_root() / "fixtures/models")) {
    SCOPED_TRACE(entry.path().filename().string());
    const auto expected = nlohmann::json::parse(*read_file(entry.path() / "expected.json"));
    const auto tokenizer = load_directory(entry.path());
    const auto prompt = expected["prompt"].get<std::string>();
    EXPECT_EQ(tokenizer->encode(prompt), expected["prompt_ids"].get<std::vector<TokenId>>());
    const auto gguf = Tokenizer::create(read_gguf_vocabulary(entry.path() / "model.gguf"));
    EXPECT_EQ(tokenizer->vocabulary().size(), gguf->vocabulary().size());
    EXPECT_EQ(tokenizer->vocabulary().special().bos, gguf->vocabulary().special().bos);
    EXPECT_EQ(tokenizer->vocabulary().special().eos, gguf->vocabulary().special().eos);
    EXPECT_EQ(tokenizer->vocabulary().add_bos(), gguf->vocabulary().add_bos());
    const auto ends = tokenizer->vocabulary().end_of_generation();
    EXPECT_FALSE(ends.empty());
    for (const TokenId end : ends) EXPECT_TRUE(gguf->is_end_of_generation(end)) << end;
    const bool bpe = tokenizer->vocabulary().kind() == TokenizerKind::bpe;
    for (const std::string& text : texts) {
      if (text.find("\u017F") != std::string::npos) continue;  // 'ſ is a contraction to Oniguruma
      if (!bpe && !is_plain(text)) continue;
      SCOPED_TRACE(text);
      const auto ids = tokenizer->encode(text, {.add_special = false});
      EXPECT_EQ(ids, gguf->encode(text, {.add_special = false}));
      EXPECT_EQ(decode(tokenizer, ids), decode(gguf, ids));
    }
    ++models;
  }
  EXPECT_GE(models, 27U);
}

}  // namespace
}  // namespace strata::text::test
