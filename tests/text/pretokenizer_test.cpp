#include "runtime/text/pretokenizer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <random>

#include "runtime/core/error.h"
#include "runtime/text/tokenizer.h"
#include "tests/text/tiny_vocabularies.h"

namespace strata::text::test {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using Pieces = std::vector<std::string>;

Pieces pieces(const Pretokenizer& pretokenizer, std::string_view text) {
  Pieces result;
  std::size_t begin = 0;
  for (const std::size_t end : pretokenizer.split(text)) {
    result.emplace_back(text.substr(begin, end - begin));
    begin = end;
  }
  EXPECT_EQ(begin, text.size());
  return result;
}

Pieces split(std::string_view name, std::string_view text) {
  return pieces(Pretokenizer(pretokenizer_of("gpt2", name).rules), text);
}

struct Case {
  const char* name;
  const char* text;
  Pieces expected;
};

// What Hugging Face tokenizers 0.23 make of these with the models' own rules.
const Case kCases[] = {
    {"gpt-2", "I'll pay  12345\n\n x", {"I", "'ll", " pay", " ", " 12345", "\n\n", " x"}},
    {"starcoder", "a 123!", {"a", " ", "1", "2", "3", "!"}},
    {"falcon", "it's 12345 ($)", {"it", "'", "s", " ", "123", "45", " ", "($)"}},
    {"llama-bpe",
     "I'LL pay 12345!\n\n  x",
     {"I", "'LL", " pay", " ", "123", "45", "!\n\n", " ", " x"}},
    {"qwen2", "x=12\t y", {"x", "=", "1", "2", "\t", " y"}},
    {"qwen35", "हिन्दी", {"हिन्दी"}},
    {"qwen2", "हिन्दी", {"ह", "िन", "्द", "ी"}},
    {"tekken", "camelCase HTTPServer's", {"camel", "Case", " HTTPServer", "'s"}},
    {"gpt-4o", "camelCase HTTPServer's /\n/", {"camel", "Case", " HTTPServer's", " /\n/"}},
    {"deepseek-v3", "a1234中文b,c", {"a", "123", "4", "中文", "b", ",c"}},
    {"deepseek-llm", "a  中 b ", {"a", "  ", "中", " b", " "}},
    {"deepseek-coder", "a, 12\r\n", {"a", ",", " ", "1", "2", "\r", "\n"}},
    {"tiny_aya", "1234567 123456x", {"1", "234", "567", " ", "123", "456", "x"}},
    {"afmoe", "ab12345", {"ab", "12", "345"}},
    {"superbpe", "ab 12345 c", {"ab ", "12", "345", " c"}},
    {"kimi-k2", "Hi中文Bob's  中", {"Hi", "中文", "Bob's", " ", " ", "中"}},
    {"exaone-moe", "a b c. d", {"a b c", ".", " d"}},
    {"bailingmoe", "\n\n a", {"\n\n", " a"}},
    {"jais-2", "a       b", {"a", "    ", "  ", " b"}},
    {"poro-chat", "Hei, maailma!", {"Hei", ",", " maailma", "!"}},
    {"gemma4", "a b\n\nc", {"a b", "\n\n", "c"}},
    {"laguna", "a\n\n b", {"a", "\n\n", " b"}},
    {"chameleon", "a    b12.", {"a", "    ", "b", "1", "2", "."}},
    {"seed-coder", "a!\n\n", {"a", "!", "\n\n"}},
    {"", "a $5 123", {"a", " ", "$", "5", " ", "123"}},
};

TEST(Pretokenizer, SplitsAsTheModelsOwn) {
  for (const Case& c : kCases) {
    EXPECT_EQ(split(c.name, c.text), c.expected) << c.name << ": " << c.text;
  }
}

TEST(Pretokenizer, WhiteSpaceIsUnicodes) {
  EXPECT_EQ(split("llama-bpe", "a\u3000\u3000b"), (Pieces{"a", "\u3000", "\u3000b"}));
  EXPECT_EQ(split("llama-bpe", "\u180E\u180E!"), Pieces{"\u180E\u180E!"});  // no longer a space
}

TEST(Pretokenizer, AnUnknownNameListsTheKnownOnes) {
  try {
    pretokenizer_of("gpt2", "llama-5");
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::bad_model);
    EXPECT_THAT(error.what(), HasSubstr("llama-5"));
    for (const auto name : pretokenizer_names()) {
      EXPECT_THAT(error.hint(), HasSubstr(std::string(name)));
    }
  }
  EXPECT_GE(pretokenizer_names().size(), 85U);
}

TEST(Pretokenizer, TheInterpreterSplitsAsCompiledCode) {
  std::mt19937 random(3);
  const std::string_view parts[] = {"a", "B",  " ", "\n", "1", "'ll",
                                    "é", "中", "!", "\t", "ि", "²"};
  for (const auto name : pretokenizer_names()) {
    const Pretokenizer compiled(pretokenizer_of("gpt2", name).rules);
    const Pretokenizer interpreted(pretokenizer_of("gpt2", name).rules, false);
    for (int round = 0; round < 20; ++round) {
      std::string text;
      for (int i = 0; i < 30; ++i) text += parts[random() % std::size(parts)];
      EXPECT_EQ(compiled.split(text), interpreted.split(text)) << name << ": " << text;
    }
  }
}

// A guard against quadratic time, which would take minutes: not a measurement.
TEST(LinearTime, LongRunsInEveryPretokenizer) {
  for (const char* unit : {"a", " ", "7", "\n"}) {
    std::string text;
    while (text.size() < (std::size_t{1} << 18)) text += unit;
    text += "😀";
    for (const auto name : pretokenizer_names()) {
      const auto begin = std::chrono::steady_clock::now();
      split(name, text);
      const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - begin;
      EXPECT_LT(seconds.count(), 10) << name << " on '" << unit << "'";
    }
  }
}

TEST(LinearTime, AMebibyteOfOneCharacterInBothTokenizers) {
  VocabularyData bpe = tiny_bpe();
  bpe.merges.insert(bpe.merges.end(), {"a a", "aa aa", "aaaa aaaa", "Ġ Ġ", "ĠĠ ĠĠ", "Ċ Ċ"});
  VocabularyData special = tiny_bpe();
  for (int i = 0; i < 5000; ++i) {
    special.tokens.push_back("<|reserved_" + std::to_string(i) + "|>");
    special.types.push_back(3);
  }
  for (VocabularyData* data : {&bpe, &special}) {
    const auto tokenizer = Tokenizer::create(std::move(*data));
    for (const char* unit : {"a", "_", " ", "\n", "中", "😀", "7", "<", "\xFF"}) {
      std::string text;
      while (text.size() < (std::size_t{1} << 20)) text += unit;
      const auto begin = std::chrono::steady_clock::now();
      EXPECT_GT(tokenizer->encode(text).size(), 1000U);
      const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - begin;
      EXPECT_LT(seconds.count(), 20) << unit;
    }
  }
  const auto spm = Tokenizer::create(tiny_sentencepiece());
  EXPECT_EQ(spm->encode(std::string(1 << 20, 'l')).size(), (std::size_t{1} << 19) + 2);
}

}  // namespace
}  // namespace strata::text::test
