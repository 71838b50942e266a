#include "runtime/text/vocabulary.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <limits>

#include "runtime/core/error.h"
#include "runtime/text/tokenizer.h"
#include "tests/text/tiny_vocabularies.h"

namespace strata::text::test {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

struct Hostile {
  const char* name;
  std::function<void(VocabularyData&)> change;
  const char* subject;
  const char* detail;
  ErrorCode code = ErrorCode::bad_model;
};

constexpr const char* kTokens = "tokenizer.ggml.tokens";
constexpr const char* kTypes = "tokenizer.ggml.token_type";
constexpr const char* kMerges = "tokenizer.ggml.merges";

const Hostile kHostile[] = {
    {"no tokens", [](auto& d) { d.tokens.clear(); }, kTokens, "empty"},
    {"short types", [](auto& d) { d.types.pop_back(); }, kTypes, "264 entries for 265"},
    {"long types", [](auto& d) { d.types.push_back(1); }, kTypes, "266 entries for 265"},
    {"one score", [](auto& d) { d.scores = {1}; }, "tokenizer.ggml.scores", "1 entries"},
    {"score NaN", [](auto& d) { d.scores.assign(265, std::numeric_limits<float>::quiet_NaN()); },
     "tokenizer.ggml.scores", "not a number"},
    {"type 0", [](auto& d) { d.types[9] = 0; }, kTypes, "token 9 has type 0"},
    {"type 7", [](auto& d) { d.types[9] = 7; }, kTypes, "token 9 has type 7"},
    {"type -1", [](auto& d) { d.types[9] = -1; }, kTypes, "type -1"},
    {"huge token", [](auto& d) { d.tokens[5].assign(1 << 20, 'x'); }, kTokens, "1048576 bytes"},
    {"huge special", [](auto& d) { d.tokens[264].assign(2000, 'x'); }, kTokens, "2000 bytes"},
    {"bad UTF-8", [](auto& d) { d.tokens[5] = "\xC3("; }, kTokens, "token 5"},
    {"bos -1", [](auto& d) { d.bos = -1; }, "tokenizer.ggml.bos_token_id", "-1"},
    {"bos = size", [](auto& d) { d.bos = 265; }, "tokenizer.ggml.bos_token_id", "265 tokens"},
    {"eos 2^62", [](auto& d) { d.eos = std::int64_t{1} << 62; }, "tokenizer.ggml.eos_token_id", ""},
    {"padding", [](auto& d) { d.padding = 9999; }, "tokenizer.ggml.padding_token_id", "9999"},
    {"add_bos without bos",
     [](auto& d) {
       d.bos.reset();
       d.add_bos = true;
     },
     "tokenizer.ggml.add_bos_token", "missing"},
    {"add_eos without eos",
     [](auto& d) {
       d.eos.reset();
       d.add_eos = true;
     },
     "tokenizer.ggml.add_eos_token", "missing"},
    {"no merges", [](auto& d) { d.merges.clear(); }, kMerges, "missing"},
    {"merge without space", [](auto& d) { d.merges[2] = "hell"; }, kMerges, "merge 2"},
    {"empty merge", [](auto& d) { d.merges[0].clear(); }, kMerges, "merge 0"},
    {"merge of one", [](auto& d) { d.merges[1] = "he "; }, kMerges, "merge 1"},
    {"merge of a space", [](auto& d) { d.merges[1] = " "; }, kMerges, "merge 1"},
    {"unknown pre", [](auto& d) { d.pre = "nonesuch\n"; }, "tokenizer.ggml.pre", "nonesuch?"},
    {"bert", [](auto& d) { d.model = "bert"; }, "tokenizer.ggml.model", "bert",
     ErrorCode::unsupported_model},
    {"no model", [](auto& d) { d.model = ""; }, "tokenizer.ggml.model", "\"\"",
     ErrorCode::unsupported_model},
};

TEST(HostileVocabulary, EachIsATypedErrorThatNamesTheKey) {
  for (const Hostile& hostile : kHostile) {
    SCOPED_TRACE(hostile.name);
    VocabularyData data = tiny_bpe();
    hostile.change(data);
    try {
      Tokenizer::create(std::move(data));
      ADD_FAILURE() << "accepted";
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), hostile.code);
      EXPECT_EQ(error.subject(), hostile.subject);
      EXPECT_THAT(error.detail(), HasSubstr(hostile.detail));
    }
  }
}

TEST(HostileVocabulary, ByteTokensMustNameAByte) {
  for (const char* text : {"<0x-1>", "<0xZZ>", "<0x100>", "<0x1>", "0x41", ""}) {
    VocabularyData data = tiny_sentencepiece();
    data.tokens[50] = text;
    EXPECT_THROW(Tokenizer::create(std::move(data)), Error) << text;
  }
  EXPECT_EQ(parse_byte_token("<0x0a>"), 10);
  EXPECT_EQ(parse_byte_token("<0xFF>"), 255);
}

TEST(HostileVocabulary, WithoutByteAndUnknownTokensEncodingIsAnError) {
  VocabularyData data = tiny_bpe();
  data.tokens['x'] = "gone";
  const auto tokenizer = Tokenizer::create(std::move(data));
  EXPECT_EQ(tokenizer->encode("y"), std::vector<TokenId>{'y'});
  EXPECT_THROW(tokenizer->encode("x"), Error);
}

TEST(HostileVocabulary, AMillionStrangeMergesAreHarmless) {
  VocabularyData data = tiny_bpe();
  for (int i = 0; i < 1'000'000; ++i) data.merges.push_back(fmt::format("q{} q{}", i, i / 2));
  data.merges.insert(data.merges.end(), {"z z", "zz zz", "zz zz", "a b", "b a", "ab a"});
  const auto tokenizer = Tokenizer::create(std::move(data));
  EXPECT_EQ(tokenizer->encode("zzzzz"), (std::vector<TokenId>(5, 'z')));
}

TEST(Vocabulary, OfEqualTokensTheFirstIsMade) {
  VocabularyData data = tiny_bpe();
  data.tokens.insert(data.tokens.end(), {"hello", "", ""});
  data.types.insert(data.types.end(), {1, 1, 3});
  const auto tokenizer = Tokenizer::create(std::move(data));
  EXPECT_EQ(tokenizer->encode("hello"), std::vector<TokenId>{259});
  EXPECT_EQ(tokenizer->token_bytes(265), "hello");
  EXPECT_EQ(tokenizer->token_bytes(266), "");
}

TEST(Vocabulary, EndOfGenerationIsIdsAndTexts) {
  VocabularyData data = tiny_bpe();
  data.tokens.insert(data.tokens.end(), {"<|eot_id|>", "</s>", "<|end|>", "<eom>"});
  data.types.insert(data.types.end(), {3, 1, 3, 1});  // one is of the wrong type, as in real files
  data.eos = 10;
  data.eom = 268;
  const auto tokenizer = Tokenizer::create(std::move(data));
  const auto ends = tokenizer->vocabulary().end_of_generation();
  EXPECT_THAT(std::vector<TokenId>(ends.begin(), ends.end()),
              ElementsAre(10, 263, 265, 266, 267, 268));
  EXPECT_EQ(tokenizer->vocabulary().type(266), TokenType::control);
}

TEST(Vocabulary, HarmonysEndOfAMessageEndsNoGeneration) {
  VocabularyData data = tiny_bpe();
  data.tokens.insert(data.tokens.end(), {"<|return|>", "<|call|>", "<|end|>", "<|channel|>"});
  data.types.insert(data.types.end(), {3, 3, 3, 3});
  const auto tokenizer = Tokenizer::create(std::move(data));
  EXPECT_TRUE(tokenizer->is_end_of_generation(265));
  EXPECT_TRUE(tokenizer->is_end_of_generation(266));
  EXPECT_FALSE(tokenizer->is_end_of_generation(267));
  EXPECT_EQ(tokenizer->vocabulary().type(268), TokenType::user_defined);
}

TEST(Vocabulary, AddBosWhereTheFileIsSilent) {
  const auto bos_of = [](const char* pre, std::optional<bool> key) {
    VocabularyData data = tiny_bpe();
    data.pre = pre;
    data.add_bos = key;
    return Tokenizer::create(std::move(data))->vocabulary().add_bos();
  };
  EXPECT_TRUE(bos_of("llama-bpe", {}));
  EXPECT_TRUE(bos_of("tekken", {}));
  EXPECT_FALSE(bos_of("llama-bpe", false));
  EXPECT_FALSE(bos_of("qwen2", {}));
  EXPECT_FALSE(bos_of("", {}));
  EXPECT_TRUE(bos_of("qwen2", true));
  VocabularyData none = tiny_bpe();
  none.pre = "llama-bpe";
  none.bos.reset();
  EXPECT_FALSE(Tokenizer::create(std::move(none))->vocabulary().add_bos());
}

TEST(Vocabulary, SentencepieceHasItsUsualIds) {
  const auto tokenizer = Tokenizer::create(tiny_sentencepiece());
  const SpecialIds& special = tokenizer->vocabulary().special();
  EXPECT_EQ(special.unknown, 0);
  EXPECT_EQ(special.bos, 1);
  EXPECT_EQ(special.eos, 2);
  EXPECT_TRUE(tokenizer->is_end_of_generation(2));
  EXPECT_TRUE(tokenizer->is_end_of_generation(271));
}

}  // namespace
}  // namespace strata::text::test
