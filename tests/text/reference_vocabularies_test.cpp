// Token ids against those of other programs: llama.cpp's vocabulary files with texts tokenized by
// Hugging Face, the prompts of the reference models, and the ids that stories260K prints.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <sstream>

#include "runtime/core/error.h"
#include "runtime/text/detokenizer.h"
#include "runtime/text/tokenizer.h"
#include "tests/support/shared_data.h"
#include "tests/text/gguf_vocabulary.h"

namespace strata::text::test {
namespace {

namespace fs = std::filesystem;

std::string read_file(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

std::shared_ptr<const Tokenizer> load(const fs::path& path) {
  return Tokenizer::create(read_gguf_vocabulary(path));
}

std::vector<std::string> texts_of(const fs::path& path) {
  const std::string all = read_file(path);
  const std::string separator = "\n__ggml_vocab_test__\n";
  std::vector<std::string> texts;
  for (std::size_t at = 0; at < all.size();) {
    const std::size_t end = all.find(separator, at);
    if (end == std::string::npos) break;  // what follows the last separator is no text
    texts.push_back(all.substr(at, end - at));
    at = end + separator.size();
  }
  return texts;
}

std::vector<std::vector<TokenId>> ids_of(const fs::path& path) {
  std::vector<std::vector<TokenId>> lines;
  std::istringstream file(read_file(path));
  for (std::string line; std::getline(file, line);) {
    std::istringstream numbers(line);
    lines.emplace_back(std::istream_iterator<TokenId>(numbers), std::istream_iterator<TokenId>());
  }
  return lines;
}

class ReferenceVocabulary : public ::testing::TestWithParam<const char*> {};

TEST_P(ReferenceVocabulary, EveryTextHasTheSameIds) {
  STRATA_NEEDS_SHARED();
  const fs::path base =
      strata::test::shared_root() / "fixtures/tokenizers" / (std::string(GetParam()) + ".gguf");
  const auto tokenizer = load(base);
  const auto texts = texts_of(base.string() + ".inp");
  const auto ids = ids_of(base.string() + ".out");
  ASSERT_EQ(texts.size(), ids.size());
  ASSERT_GT(texts.size(), 30U);
  for (std::size_t i = 0; i < texts.size(); ++i) {
    const auto found = tokenizer->encode(texts[i], {.add_special = false, .parse_special = false});
    EXPECT_EQ(found, ids[i]) << "text " << i << ": " << texts[i];
    EXPECT_EQ(decode(tokenizer, found, {.strip_first_space = true}), texts[i]);
  }
}

INSTANTIATE_TEST_SUITE_P(All, ReferenceVocabulary,
                         ::testing::Values("ggml-vocab-deepseek-coder", "ggml-vocab-falcon",
                                           "ggml-vocab-gpt-2", "ggml-vocab-llama-bpe",
                                           "ggml-vocab-llama-spm", "ggml-vocab-qwen2"));

TEST(ReferenceModels, PromptIdsAreTheSame) {
  STRATA_NEEDS_SHARED();
  std::size_t models = 0;
  for (const auto& entry :
       fs::directory_iterator(strata::test::shared_root() / "fixtures/models")) {
    SCOPED_TRACE(entry.path().filename().string());
    const auto expected = nlohmann::json::parse(read_file(entry.path() / "expected.json"));
    const auto tokenizer = load(entry.path() / "model.gguf");
    const auto ids = expected["prompt_ids"].get<std::vector<TokenId>>();
    const auto prompt = expected["prompt"].get<std::string>();
    EXPECT_EQ(tokenizer->encode(prompt), ids);
    EXPECT_EQ(decode(tokenizer, tokenizer->encode(prompt, {.add_special = false}),
                     {.strip_first_space = true}),
              prompt);
    ++models;
  }
  EXPECT_GE(models, 27U);
}

TEST(ReferenceModels, StoriesRoundTrip) {
  STRATA_NEEDS_SHARED();
  const fs::path folder = strata::test::shared_root() / "models/stories260K";
  const auto tokenizer = load(folder / "stories260K-f32.gguf");
  EXPECT_EQ(tokenizer->encode(""), std::vector<TokenId>{1});
  const std::string story = read_file(folder / "expected_greedy_256.txt");
  const auto ids = tokenizer->encode(story, {.add_special = false});
  EXPECT_EQ(decode(tokenizer, ids, {.strip_first_space = true}), story);
  EXPECT_EQ(decode(tokenizer, ids), " " + story);
}

TEST(ProjectModel, EveryGoldenTextHasTheSameIds) {
  const fs::path models = strata::test::source_root() / "models";
  const auto tokenizer = load(models / "strata-tiny.gguf");
  const auto golden = nlohmann::json::parse(read_file(models / "golden/tokenizer.json"));
  ASSERT_GT(golden["cases"].size(), 20U);
  for (const auto& example : golden["cases"]) {
    const auto text = example["text"].get<std::string>();
    const auto ids = example["ids"].get<std::vector<TokenId>>();
    EXPECT_EQ(tokenizer->encode(text, {.add_special = false}), ids) << text;
    EXPECT_EQ(decode(tokenizer, ids, {.show_control = true}), text);
  }
}

}  // namespace
}  // namespace strata::text::test
