#include "backends/nvml.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>

namespace strata::test {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

std::string fake() { return program_folder() + "/libfake_nvml.so"; }

TEST(Nvml, TellsOfTheGpuAtAnAddress) {
  const Nvml nvml(fake());
  ASSERT_TRUE(nvml.usable()) << nvml.why();
  EXPECT_EQ(nvml.version(), "13.580.65");
  const Telemetry told = nvml.telemetry("0000:65:00.0");
  EXPECT_EQ(told.uuid, "GPU-1234");
  EXPECT_EQ(told.driver_version, "580.65.06");
  EXPECT_EQ(told.clock_mhz, 1755U);
  EXPECT_EQ(told.max_clock_mhz, 1980U);
  EXPECT_EQ(told.memory_clock_mhz, 3201U);
  EXPECT_EQ(told.max_memory_clock_mhz, 3202U);
  EXPECT_EQ(told.power_limit_watts, 700.0);
  EXPECT_EQ(told.pcie_generation, 4U);
  EXPECT_EQ(told.max_pcie_generation, 5U);
  EXPECT_EQ(told.pcie_width, 16U);
  EXPECT_EQ(told.memory_used_bytes, 40U);
  ASSERT_TRUE(told.throttle_reasons);
  EXPECT_THAT(*told.throttle_reasons, ElementsAre("power cap", "thermal (software)"));
}

TEST(Nvml, LeavesEmptyWhatTheLibraryDoesNotTell) {
  const Nvml nvml(fake());
  EXPECT_FALSE(nvml.telemetry("0000:65:00.0").max_pcie_width);
  const Telemetry nobody = nvml.telemetry("0000:01:00.0");
  EXPECT_FALSE(nobody.uuid || nobody.clock_mhz || nobody.throttle_reasons);
}

TEST(Nvml, SaysWhyItCannotBeUsed) {
  const Nvml missing("libstrata-no-such-nvml.so.1");
  EXPECT_FALSE(missing.usable());
  EXPECT_THAT(missing.why(), HasSubstr("libstrata-no-such-nvml.so.1"));
  EXPECT_EQ(missing.version(), "");
  EXPECT_FALSE(missing.telemetry("0000:65:00.0").uuid);

  setenv("STRATA_FAKE_NVML", "broken", 1);
  const Nvml broken(fake());
  unsetenv("STRATA_FAKE_NVML");
  EXPECT_FALSE(broken.usable());
  EXPECT_THAT(broken.why(), HasSubstr("nvmlInit_v2 fails: Driver Not Loaded"));
  EXPECT_FALSE(broken.telemetry("0000:65:00.0").uuid);
}

TEST(Nvml, NamesEveryReasonForSlowClocks) {
  EXPECT_THAT(throttle_reasons(0), IsEmpty());
  EXPECT_THAT(throttle_reasons(0x1FF).size(), 9U);
  EXPECT_THAT(throttle_reasons(0x1001), ElementsAre("idle", "other"));
}

}  // namespace
}  // namespace strata::test
