#include "runtime/text/detokenizer.h"

#include <gtest/gtest.h>

#include "runtime/core/error.h"
#include "runtime/text/utf8.h"
#include "tests/text/tiny_vocabularies.h"

namespace strata::text::test {
namespace {

constexpr std::string_view kBad = kReplacementCharacter;

// The id of a byte is the byte in the tiny BPE vocabulary.
std::shared_ptr<const Tokenizer> bytes() { return Tokenizer::create(tiny_bpe()); }

TEST(Detokenizer, HoldsASequenceUntilItIsWhole) {
  Detokenizer detokenizer(bytes());
  EXPECT_EQ(detokenizer.push(0xF0), "");
  EXPECT_EQ(detokenizer.push(0x9F), "");
  EXPECT_EQ(detokenizer.push(0x98), "");
  EXPECT_EQ(detokenizer.push(0x80), "😀");
  EXPECT_EQ(detokenizer.push('a'), "a");
  EXPECT_EQ(detokenizer.finish(), "");
}

TEST(Detokenizer, ReplacesWhatCannotBecomeASequence) {
  Detokenizer detokenizer(bytes());
  EXPECT_EQ(detokenizer.push(0x80), kBad);
  EXPECT_EQ(detokenizer.push(0xC0), kBad);  // only overlong forms begin so
  EXPECT_EQ(detokenizer.push(0xE2), "");
  EXPECT_EQ(detokenizer.push('x'), std::string(kBad) + "x");
  EXPECT_EQ(detokenizer.push(0xED), "");
  EXPECT_EQ(detokenizer.push(0xA0), std::string(kBad) + std::string(kBad));  // a surrogate
  EXPECT_EQ(detokenizer.push(0xF4), "");
  EXPECT_EQ(detokenizer.finish(), kBad);
  EXPECT_EQ(detokenizer.finish(), "");
}

TEST(Detokenizer, EveryCutOfATextGivesTheSame) {
  const auto tokenizer = bytes();
  const std::string text = "aé中😀\xED\x9F\xBF\xEE\x80\x80\xF4\x8F\xBF\xBF z";
  Detokenizer detokenizer(tokenizer);
  std::string out;
  for (const char c : text) {
    const std::string part = detokenizer.push(static_cast<unsigned char>(c));
    EXPECT_TRUE(is_utf8(part));
    out += part;
  }
  EXPECT_EQ(out + detokenizer.finish(), text);
}

TEST(Detokenizer, ControlTokensPrintOnlyWhenAsked) {
  const auto tokenizer = bytes();
  const TokenId ids[] = {262, 'a', 264, 263};
  EXPECT_EQ(decode(tokenizer, ids), "a<sep>");
  EXPECT_EQ(decode(tokenizer, ids, {.show_control = true}), "<|begin|>a<sep><|im_end|>");
}

TEST(Detokenizer, TheFirstSpaceIsStrippedOnce) {
  const auto tokenizer = Tokenizer::create(tiny_sentencepiece());
  const TokenId twice[] = {263, 263};  // "▁hello"
  EXPECT_EQ(decode(tokenizer, twice), " hello hello");
  EXPECT_EQ(decode(tokenizer, twice, {.strip_first_space = true}), "hello hello");
  const TokenId later[] = {265, 263};
  EXPECT_EQ(decode(tokenizer, later, {.strip_first_space = true}), "h hello");
  // Byte-level vocabularies add no space, so none is taken away.
  const TokenId space[] = {260};
  EXPECT_EQ(decode(bytes(), space, {.strip_first_space = true}), " hello");
}

TEST(Detokenizer, AnIdOutsideTheVocabularyChangesNothing) {
  Detokenizer detokenizer(bytes());
  EXPECT_EQ(detokenizer.push(0xC3), "");
  EXPECT_THROW(detokenizer.push(9999), Error);
  EXPECT_EQ(detokenizer.push(0xA9), "é");
}

}  // namespace
}  // namespace strata::text::test
