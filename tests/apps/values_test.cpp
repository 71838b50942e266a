#include "apps/cli/values.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

namespace strata::cli {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Optional;

TEST(ParseNumber, FiniteAndWhole) {
  EXPECT_THAT(parse_number("-2.5e1"), Optional(-25.0));
  for (const char* text : {"inf", "-inf", "nan", "1e999", "", "1 ", "0x1p3"})
    EXPECT_FALSE(parse_number(text)) << text;
}

TEST(ParseIntegers, ListsAsPeopleWriteThem) {
  EXPECT_THAT(parse_integers("1,2,3"), Optional(ElementsAre(1, 2, 3)));
  EXPECT_THAT(parse_integers(" [1, 2 ,3] "), Optional(ElementsAre(1, 2, 3)));
  EXPECT_THAT(parse_integers(""), Optional(ElementsAre()));
  EXPECT_THAT(parse_integers("[]"), Optional(ElementsAre()));
  for (const char* text : {",", "1,", "1 2", "[1", "1]", "a", "1,2.5"})
    EXPECT_FALSE(parse_integers(text)) << text;
}

TEST(ParseRanges, ListsOfLlamaBench) {
  const auto parse = [](const char* text) { return parse_ranges(text, 0, 100000); };
  EXPECT_THAT(parse("512"), Optional(ElementsAre(512)));
  EXPECT_THAT(parse("512,0,7"), Optional(ElementsAre(512, 0, 7)));
  EXPECT_THAT(parse("1-4"), Optional(ElementsAre(1, 2, 3, 4)));
  EXPECT_THAT(parse("10-31+10"), Optional(ElementsAre(10, 20, 30)));
  EXPECT_THAT(parse("8-64*2"), Optional(ElementsAre(8, 16, 32, 64)));
  EXPECT_THAT(parse("3,8-16*2,5-5"), Optional(ElementsAre(3, 8, 16, 5)));
  for (const char* text : {"", ",", "1,", "a", "-1", "4-1", "1-4+0", "1-4*1", "0-4*2", "1-4/2",
                           "1-", "1-4+", "100001", "1-100001", "1-9999", "1.5", "1-2-3"})
    EXPECT_FALSE(parse(text)) << text;
  EXPECT_FALSE(parse_ranges("0", 1, 9)) << "below the least";
}

TEST(ParseByteSize, NumbersWithBinaryUnits) {
  const auto bytes = [](const char* text) {
    const ByteSize size = parse_byte_size(text);
    EXPECT_EQ(size.wrong, "") << text;
    return size.bytes;
  };
  EXPECT_EQ(bytes("600MiB"), 600LL << 20);
  EXPECT_EQ(bytes("4GiB"), 4LL << 30);
  EXPECT_EQ(bytes("512kib"), 512LL << 10);
  EXPECT_EQ(bytes("1.5 GiB"), 3LL << 29);
  EXPECT_EQ(bytes("2TiB"), 2LL << 40);
  EXPECT_EQ(bytes("4096"), 4096);
  EXPECT_EQ(bytes("1B"), 1);
  EXPECT_EQ(bytes("9007199254740993"), 9007199254740993) << "no double holds it";
}

TEST(ParseByteSize, SaysWhatIsWrong) {
  const auto wrong = [](const char* text) {
    const ByteSize size = parse_byte_size(text);
    EXPECT_EQ(size.bytes, 0) << text;
    return size.wrong;
  };
  for (const char* text : {"0", "0GiB", "0.5", "0.0001KiB"})
    EXPECT_THAT(wrong(text), HasSubstr("less than one byte")) << text;
  for (const char* text : {"-1", "-600MiB"})
    EXPECT_THAT(wrong(text), HasSubstr("less than nothing")) << text;
  for (const char* text : {"8388608TiB", "9223372036854775808", "99999999999999999999999GiB"})
    EXPECT_THAT(wrong(text), HasSubstr("more than any memory has")) << text;
  for (const char* text : {"", "MiB", "many", "1.2.3GiB", "--5", "+5", "0x10"})
    EXPECT_NE(wrong(text), "") << text;
  EXPECT_THAT(wrong("600MB"), HasSubstr("the unit \"MB\"; it may be B, KiB, MiB, GiB or TiB"));
  EXPECT_THAT(wrong("1e9"), HasSubstr("the unit \"e9\""));
  EXPECT_THAT(wrong("5GiB,"), HasSubstr("the unit \"GiB,\""));
}

TEST(SameWord, CapitalsDoNotMatter) {
  EXPECT_TRUE(same_word("Q4_K", "q4_k"));
  EXPECT_FALSE(same_word("Q4_K", "Q4_0"));
  EXPECT_FALSE(same_word("Q4", "Q4_K"));
}

TEST(ParseSwitch, WordsInAnyCase) {
  for (const char* text : {"1", "on", "ON", "True", "enabled", "yes"})
    EXPECT_THAT(parse_switch(text), Optional(true)) << text;
  for (const char* text : {"0", "off", "False", "DISABLED", "no"})
    EXPECT_THAT(parse_switch(text), Optional(false)) << text;
  for (const char* text : {"", "2", "onn", "o"}) EXPECT_FALSE(parse_switch(text)) << text;
}

TEST(ParseLogitBias, SignedBiasAfterTheId) {
  using Bias = std::pair<std::int32_t, float>;
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  EXPECT_EQ(parse_logit_bias("-l", "15043+1"), Bias(15043, 1.0f));
  EXPECT_EQ(parse_logit_bias("-l", "15043-1.5"), Bias(15043, -1.5f));
  EXPECT_EQ(parse_logit_bias("-l", "0-inf"), Bias(0, -kInfinity));
  EXPECT_EQ(parse_logit_bias("-l", "7=false"), Bias(7, -kInfinity));
}

TEST(Unescape, WhatLlamaCppUnescapes) {
  EXPECT_EQ(unescape(R"(a\nb\tc\rd\\e\"f\'g)"), "a\nb\tc\rd\\e\"f'g");
  EXPECT_EQ(unescape(R"(\x41\x7a)"), "Az");
  EXPECT_EQ(unescape(R"(\\n)"), "\\n");
  // What is no escape stays.
  EXPECT_EQ(unescape(R"(\q\x4\xg1\)"), R"(\q\x4\xg1\)");
  EXPECT_EQ(unescape(std::string_view(R"(\x41)").substr(0, 3)), R"(\x4)");
  EXPECT_EQ(unescape(R"(\x00z)"), std::string("\0z", 2));
}

}  // namespace
}  // namespace strata::cli
