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
  for (const BackendStatus& status : statuses) {
    EXPECT_EQ(status.usable, status.reason.empty());
    EXPECT_EQ(status.usable, status.hint.empty()) << status.hint;
  }
}

TEST(Registry, SaysWhatIsInThisBuildAndWhyTheRestIsNot) {
  const std::vector<BackendBuild> builds = backend_builds();
  const std::vector<BackendStatus> statuses = backend_statuses();
  ASSERT_EQ(builds.size(), statuses.size());
  EXPECT_TRUE(builds.back().built);
  for (std::size_t i = 0; i < builds.size(); ++i) {
    EXPECT_EQ(builds[i].backend, statuses[i].backend);
    EXPECT_EQ(builds[i].built, builds[i].why_not.empty()) << builds[i].why_not;
    if (!builds[i].built) {
      EXPECT_EQ(statuses[i].reason, "not in this build: " + builds[i].why_not);
    }
  }
}

TEST(Registry, ListsTheDevicesOfUsableBackendsAlone) {
  std::vector<BackendKind> usable;
  for (const BackendStatus& status : backend_statuses())
    if (status.usable) usable.push_back(status.backend);
  int index = 0;
  std::size_t backend = 0;
  for (const DeviceInfo& info : list_devices({1})) {
    while (backend < usable.size() && usable[backend] != info.id.backend) ++backend, index = 0;
    ASSERT_LT(backend, usable.size()) << to_string(info.id) << " is out of order";
    EXPECT_EQ(info.id.index, index++) << to_string(info.id);
    EXPECT_FALSE(info.name.empty());
  }
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
