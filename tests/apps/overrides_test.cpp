#include "apps/cli/overrides.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "runtime/core/error.h"

namespace strata::cli {
namespace {

using testing::HasSubstr;

// "exps -> cpu:0; ..."
std::string parsed(const char* text) {
  std::string result;
  for (const TensorOverride& rule : parse_tensor_overrides("-ot", text))
    result += (result.empty() ? "" : "; ") + rule.pattern + " -> " + to_string(rule.device);
  return result;
}

std::string refused(const char* text) {
  try {
    parse_tensor_overrides("-ot", text);
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::usage);
    return error.what();
  }
  ADD_FAILURE() << text;
  return {};
}

TEST(TensorOverrides, RulesAsLlamaCppWritesThem) {
  EXPECT_EQ(parsed("exps=CPU"), "exps -> cpu:0");
  EXPECT_EQ(parsed("blk\\.[0-9]\\.=CUDA1,ffn_.*=cpu"), "blk\\.[0-9]\\. -> cuda:1; ffn_.* -> cpu:0");
}

TEST(TensorOverrides, WhatIsNoRule) {
  EXPECT_THAT(refused(""), HasSubstr("names no device"));
  EXPECT_THAT(refused("exps"), HasSubstr("\"exps\" names no device"));
  EXPECT_THAT(refused("exps=CPU,"), HasSubstr("\"\" names no device"));
  EXPECT_THAT(refused("=CPU"), HasSubstr("has no pattern"));
  EXPECT_THAT(refused("exps=toaster"), HasSubstr("\"toaster\" in \"exps=toaster\""));
  EXPECT_THAT(refused("exps="), HasSubstr("\"\" in \"exps=\""));
}

TEST(TensorOverrides, ExpertsByLayer) {
  EXPECT_EQ(expert_pattern(3), "^(blk|model\\.layers)\\.3" + expert_pattern());
  EXPECT_THAT(expert_pattern(), HasSubstr("ffn_(up|down|gate|gate_up)_(ch|)exps"));
}

}  // namespace
}  // namespace strata::cli
