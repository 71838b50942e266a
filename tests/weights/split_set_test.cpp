#include "runtime/weights/split_set.h"

#include <gtest/gtest.h>

namespace strata {
namespace {

TEST(SplitName, Parsed) {
  const auto name = parse_split_name("folder/big-model-00002-of-00013.gguf");
  ASSERT_TRUE(name);
  EXPECT_EQ(name->prefix, "big-model");
  EXPECT_EQ(name->number, 2u);
  EXPECT_EQ(name->count, 13u);
  EXPECT_EQ(split_path("folder/big-model-00002-of-00013.gguf", *name, 1),
            "folder/big-model-00001-of-00013.gguf");
  EXPECT_EQ(parse_split_name("-00001-of-00001.gguf")->prefix, "");
  EXPECT_EQ(parse_split_name("a-00001-of-00002-00003-of-00004.gguf")->prefix, "a-00001-of-00002");
}

TEST(SplitName, OtherNames) {
  for (const char* name :
       {"model.gguf", "m-00001-of-00003.bin", "m-00001-of-00003", "m-0001-of-0003.gguf",
        "m-0001x-of-00003.gguf", "m-00001-of-0003x.gguf", "m-+0001-of-00003.gguf",
        "m--0001-of-00003.gguf", "m-00001_of-00003.gguf", "m_00001-of-00003.gguf",
        "m-00004-of-00003.gguf", "m-00000-of-00003.gguf", "00001-of-00003.gguf", "of-00003.gguf",
        "", ".gguf", "-of-00003.gguf"})
    EXPECT_FALSE(parse_split_name(name)) << name;
}

}  // namespace
}  // namespace strata
