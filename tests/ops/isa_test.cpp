#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "runtime/core/error.h"
#include "tests/ops/cpu_devices.h"
#include "tests/parity/weight_ops.h"

namespace strata::test::weights {
namespace {

using testing::HasSubstr;

TEST(Isa, EveryVariantIsWhatItSays) {
  std::size_t count = 0;
  const cpu::IsaVariant* variants = cpu::isa_variants(&count);
  ASSERT_GE(count, 1u);
  EXPECT_STREQ(variants[count - 1].name, "baseline") << "best first";
  EXPECT_TRUE(variants[count - 1].supported) << "every CPU runs the baseline";
  int lanes = 64;
  for (std::size_t i = 0; i < count; ++i) {
    const cpu::Kernels& kernels = variants[i].kernels();
    EXPECT_STREQ(kernels.isa, variants[i].name);
    EXPECT_LE(kernels.lanes, lanes);
    lanes = kernels.lanes;
  }
}

TEST(Isa, TheBestIsChosenUnlessNamed) {
  const std::vector<std::string> names = runnable_isas();
  EXPECT_STREQ(cpu::select_kernels(nullptr).isa, names.front().c_str());
  EXPECT_STREQ(cpu::select_kernels("").isa, names.front().c_str());
  for (const std::string& name : names)
    EXPECT_STREQ(cpu::select_kernels(name.c_str()).isa, name.c_str());
}

TEST(Isa, AnUnknownNameListsTheKnownOnes) {
  try {
    cpu::select_kernels("sse9");
    FAIL() << "sse9 was accepted";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::usage);
    EXPECT_THAT(error.what(), HasSubstr("sse9"));
    for (const std::string& name : runnable_isas()) EXPECT_THAT(error.hint(), HasSubstr(name));
  }
}

}  // namespace
}  // namespace strata::test::weights
