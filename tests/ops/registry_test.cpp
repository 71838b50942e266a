#include "backends/registry.h"

#include <gtest/gtest.h>

#include <string>

#include "runtime/core/error.h"

namespace strata::test {
namespace {

TEST(Registry, KnowsEveryBackendAndWhyItCannotBeUsed) {
  const std::vector<BackendStatus> statuses = backend_statuses();
  ASSERT_EQ(statuses.size(), 4U);
  EXPECT_EQ(statuses.back().backend, BackendKind::cpu);
  EXPECT_TRUE(statuses.back().usable);
  for (const BackendStatus& status : statuses) EXPECT_EQ(status.usable, status.reason.empty());
}

TEST(Registry, ListsTheCpuLast) {
  const std::vector<DeviceInfo> devices = list_devices({1});
  ASSERT_FALSE(devices.empty());
  EXPECT_EQ(to_string(devices.back().id), "cpu:0");
  EXPECT_EQ(devices.back().compute_units, 1);
}

TEST(Registry, OpensTheCpuByEitherName) {
  for (const char* name : {"cpu", "cpu:0"}) {
    const std::unique_ptr<Device> device = open_device(name, {2});
    EXPECT_EQ(to_string(device->info().id), "cpu:0");
    EXPECT_EQ(device->info().compute_units, 2);
  }
}

TEST(Registry, NamesWhatIsThereWhenADeviceIsMissing) {
  for (const char* name : {"cpu:1", "cuda:99", "hip:99", "vulkan:99"}) {
    try {
      (void)open_device(name, {1});
      FAIL() << name << " was opened";
    } catch (const Error& e) {
      EXPECT_EQ(e.code(), ErrorCode::device_missing) << name;
      EXPECT_EQ(e.subject(), name);
      EXPECT_NE(e.hint().find("cpu:0"), std::string::npos) << e.hint();
    }
  }
}

TEST(Registry, ANameThatIsNoneIsAUsageError) {
  for (const char* name : {"", "gpu", "cpu:", "cpu:x", "cpu:-1", "cpu:0x", "cpu:0:0", "CPU", " cpu",
                           "cuda:99999999999", ":0"}) {
    try {
      (void)open_device(name, {1});
      FAIL() << '"' << name << "\" was opened";
    } catch (const Error& e) {
      EXPECT_EQ(e.code(), ErrorCode::usage) << name;
      EXPECT_NE(e.hint().find("cpu:0"), std::string::npos) << e.hint();
    }
  }
}

}  // namespace
}  // namespace strata::test
