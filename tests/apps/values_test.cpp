#include "apps/cli/values.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

namespace strata::cli {
namespace {

using ::testing::ElementsAre;
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
