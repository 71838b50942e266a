#include "runtime/text/tokenizer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

#include "runtime/core/error.h"
#include "runtime/text/detokenizer.h"
#include "tests/text/tiny_vocabularies.h"

namespace strata::text::test {
namespace {

using ::testing::ElementsAre;
using Ids = std::vector<TokenId>;

constexpr EncodeOptions kPlain{.add_special = false, .parse_special = false};
constexpr EncodeOptions kSpecial{.add_special = false, .parse_special = true};

// Ids of the tiny SentencePiece vocabulary.
constexpr TokenId kFirstByte = 3;
constexpr TokenId kLl = 259, kHe = 260, kHell = 261, kHello = 262, kSpaceHello = 263, kSpace = 264,
                  kH = 265;
constexpr TokenId kE = 266, kL = 267, kAccent = 269, kSep = 270, kEnd = 271;

TokenId byte_id(int byte) { return kFirstByte + byte; }

TEST(Sentencepiece, MergesByScoreAndPrefixesASpace) {
  const auto tokenizer = Tokenizer::create(tiny_sentencepiece());
  EXPECT_EQ(tokenizer->encode("hello"), (Ids{1, kSpaceHello}));
  EXPECT_EQ(tokenizer->encode("hello hello", kPlain), (Ids{kSpaceHello, kSpaceHello}));
  EXPECT_EQ(tokenizer->encode("hellhell", kPlain), (Ids{kSpace, kHell, kHell}));
  EXPECT_EQ(tokenizer->encode("lll", kPlain), (Ids{kSpace, kLl, kL}));  // ties go left
  EXPECT_EQ(tokenizer->encode("hel", kPlain), (Ids{kSpace, kHe, kL}));  // not "h", "el"
  EXPECT_EQ(tokenizer->encode(""), Ids{1});
  EXPECT_EQ(tokenizer->encode("", kPlain), Ids{});
}

TEST(Sentencepiece, SpacePrefixCanBeOff) {
  VocabularyData data = tiny_sentencepiece();
  data.add_space_prefix = false;
  data.add_bos = false;
  data.add_eos = true;
  EXPECT_EQ(Tokenizer::create(std::move(data))->encode("hello"), (Ids{kHello, 2}));
}

TEST(Sentencepiece, WhatIsNoTokenBecomesItsBytes) {
  const auto tokenizer = Tokenizer::create(tiny_sentencepiece());
  EXPECT_EQ(tokenizer->encode("é\n", kPlain), (Ids{kSpace, kAccent, byte_id('\n')}));
  EXPECT_EQ(tokenizer->encode("ü", kPlain), (Ids{kSpace, byte_id(0xC3), byte_id(0xBC)}));
  EXPECT_EQ(tokenizer->encode("\xFF\xC3", kPlain), (Ids{kSpace, byte_id(0xFF), byte_id(0xC3)}));
  EXPECT_EQ(decode(tokenizer, tokenizer->encode("ü", kPlain)), " ü");
}

TEST(Sentencepiece, WithoutByteTokensACharacterIsUnknown) {
  VocabularyData data = tiny_sentencepiece();
  data.tokens[byte_id(0xBC)] = "gone";
  data.types[byte_id(0xBC)] = 1;
  VocabularyData copy = data;
  EXPECT_EQ(Tokenizer::create(std::move(data))->encode("üh", kPlain), (Ids{kSpace, 0, kH}));
  copy.unknown = 2;
  EXPECT_EQ(Tokenizer::create(std::move(copy))->encode("ü", kPlain), (Ids{kSpace, 2}));
}

TEST(Sentencepiece, SpecialTokens) {
  const auto tokenizer = Tokenizer::create(tiny_sentencepiece());
  // User-defined tokens always, control tokens when asked; the word behind gets its space again.
  EXPECT_EQ(tokenizer->encode("he<sep>hello", kPlain), (Ids{kSpace, kHe, kSep, kSpaceHello}));
  EXPECT_EQ(tokenizer->encode("<|im_end|>hello", kSpecial), (Ids{kEnd, kSpaceHello}));
  EXPECT_EQ(tokenizer->encode("<|im_end|>", kSpecial), Ids{kEnd});
  const Ids spelled = tokenizer->encode("<|im_end|>", kPlain);
  EXPECT_GT(spelled.size(), 5U);
  EXPECT_THAT(spelled, ::testing::Not(::testing::Contains(kEnd)));
}

TEST(Bpe, MergesByRankWithinPieces) {
  const auto tokenizer = Tokenizer::create(tiny_bpe());
  EXPECT_EQ(tokenizer->encode("hello hello"), (Ids{259, 260}));  // gpt-2 adds no BOS by itself
  EXPECT_EQ(tokenizer->encode("hell"), Ids{258});
  EXPECT_EQ(tokenizer->encode("hellllo"), (Ids{258, 257, 'o'}));
  EXPECT_EQ(tokenizer->encode("12 1 2"), (Ids{261, ' ', '1', ' ', '2'}));
  EXPECT_EQ(tokenizer->encode("ü"), (Ids{0xC3, 0xBC}));
  EXPECT_EQ(tokenizer->encode(std::string_view("\0\n", 2)), (Ids{0, '\n'}));
}

TEST(Bpe, TheLowerRankWins) {
  for (const bool first : {false, true}) {
    VocabularyData data = tiny_bpe();
    data.merges.insert(first ? data.merges.begin() : data.merges.end(), "e l");
    data.tokens.emplace_back("el");
    data.types.push_back(1);
    const Ids expected = first ? Ids{'h', 265} : Ids{256, 'l'};
    EXPECT_EQ(Tokenizer::create(std::move(data))->encode("hel"), expected);
  }
}

TEST(Bpe, BadBytesCountAsTheReplacementCharacter) {
  const auto tokenizer = Tokenizer::create(tiny_bpe());
  EXPECT_EQ(tokenizer->encode("h\xFF"), (Ids{'h', 0xEF, 0xBF, 0xBD}));
  EXPECT_EQ(decode(tokenizer, tokenizer->encode("h\xE2\x82")), "h\xEF\xBF\xBD\xEF\xBF\xBD");
}

TEST(Bpe, SpecialTokens) {
  VocabularyData data = tiny_bpe();
  data.add_bos = true;
  const auto tokenizer = Tokenizer::create(std::move(data));
  EXPECT_EQ(tokenizer->encode("he<|im_end|>"), (Ids{262, 256, 263}));
  EXPECT_EQ(tokenizer->encode("<sep><sep>he", kPlain), (Ids{264, 264, 256}));
  EXPECT_EQ(tokenizer->encode("<|im_end|>", kPlain).size(), 10U);
  EXPECT_TRUE(tokenizer->is_end_of_generation(263));
  EXPECT_FALSE(tokenizer->is_end_of_generation(262));
  EXPECT_FALSE(tokenizer->is_end_of_generation(-1));
  EXPECT_EQ(tokenizer->token_bytes(263), "<|im_end|>");
  EXPECT_EQ(tokenizer->token_bytes(263, false), "");
  EXPECT_EQ(tokenizer->token_bytes(264, false), "<sep>");
}

TEST(Bpe, TheLongestOfNestedSpecialTokensWins) {
  VocabularyData data = tiny_bpe();
  for (const char* token : {"<a", "<a>", "<a>>b"}) {
    data.tokens.emplace_back(token);
    data.types.push_back(3);
  }
  const auto tokenizer = Tokenizer::create(std::move(data));
  EXPECT_EQ(tokenizer->encode("<a<a><a>>b<a>>"), (Ids{265, 266, 267, 266, '>'}));
}

TEST(Bpe, LlamaTakesWholePiecesFirstAndAddsBos) {
  VocabularyData data = tiny_bpe();
  data.tokens.emplace_back("hellish");  // no merges lead there
  data.types.push_back(1);
  data.pre = "llama-bpe";
  VocabularyData same = data;
  same.pre = "gpt-2";
  EXPECT_EQ(Tokenizer::create(std::move(data))->encode("hellish"), (Ids{262, 265}));
  EXPECT_EQ(Tokenizer::create(std::move(same))->encode("hellish"), (Ids{258, 'i', 's', 'h'}));
}

TEST(Bpe, MergesMayPassThroughTextsThatAreNoTokens) {
  VocabularyData data = tiny_bpe();
  data.merges.insert(data.merges.end(), {"x y", "xy z"});
  data.tokens.emplace_back("xyz");
  data.types.push_back(1);
  const auto tokenizer = Tokenizer::create(std::move(data));
  EXPECT_EQ(tokenizer->encode("xyz"), Ids{265});
  EXPECT_EQ(tokenizer->encode("xy"), (Ids{'x', 'y'}));  // spelled in bytes
}

TEST(Bpe, GemmaKeepsPlainTextAndMarksSpaces) {
  VocabularyData data;
  data.model = "gemma4";
  data.tokens = {"<bos>", "a", "b", "▁", "▁a", "<0xC3>", "<0xBC>", "\n\n", "\n"};
  data.types = {3, 1, 1, 1, 1, 6, 6, 1, 1};
  data.merges = {"▁ a"};
  data.bos = 0;
  const auto tokenizer = Tokenizer::create(std::move(data));
  const Ids ids = tokenizer->encode("b a ü\n\nb");
  EXPECT_EQ(ids, (Ids{0, 2, 4, 3, 5, 6, 7, 2}));
  EXPECT_EQ(decode(tokenizer, ids), "b a ü\n\nb");
}

TEST(Phi3, SpecialTokensSwallowTheSpaceBehindThem) {
  VocabularyData data = tiny_sentencepiece();
  data.name = "Phi-3-mini";
  const auto tokenizer = Tokenizer::create(std::move(data));
  EXPECT_EQ(tokenizer->encode("<|im_end|> \nhello", kSpecial), (Ids{kEnd, kSpaceHello}));
  EXPECT_EQ(tokenizer->encode("<s> hello", kSpecial), (Ids{1, kSpace, kSpaceHello}));
}

TEST(RoundTrip, ByteLevelGivesBackEveryValidText) {
  const auto tokenizer = Tokenizer::create(tiny_bpe());
  std::mt19937 random(7);
  const std::string_view parts[] = {"hello", " ",  "\n", "é",     "中", "😀",
                                    "'s",    "12", "\t", "<sep>", "²"};
  for (int round = 0; round < 500; ++round) {
    std::string text;
    for (auto left = random() % 40; left > 0; --left) text += parts[random() % std::size(parts)];
    EXPECT_EQ(decode(tokenizer, tokenizer->encode(text)), text);
  }
}

TEST(Tokenizer, AnIdOutsideTheVocabularyIsTheRequestsError) {
  const auto tokenizer = Tokenizer::create(tiny_bpe());
  for (const TokenId id : {-1, 265, 1 << 30}) {
    try {
      tokenizer->token_bytes(id);
      FAIL() << id;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::bad_request);
      EXPECT_THAT(error.what(), ::testing::HasSubstr("265 tokens"));
    }
  }
}

}  // namespace
}  // namespace strata::text::test
