#include <gmock/gmock.h>

#include <cstdlib>

#include "backends/vulkan/backend.h"
#include "runtime/core/error.h"
#include "runtime/core/shared_library.h"
#include "tests/vulkan/on_vulkan.h"

namespace strata::vulkan {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

TEST(VulkanLoader, AMissingLoaderIsAReason) {
  InstanceOptions options;
  options.library = "libno-such-vulkan.so.1";
  try {
    const Instance instance(options);
    FAIL() << "opened a library that is not there";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::device_missing);
    EXPECT_THAT(error.detail(), HasSubstr("libno-such-vulkan.so.1"));
    EXPECT_THAT(error.hint(), HasSubstr("libvulkan1"));
  }
  options.library = "libc.so.6";
  EXPECT_THROW(Instance{options}, Error);
}

// Ends the process: 0 if a machine without drivers is what it says it is.
[[noreturn]] void judge_without_drivers() {
  setenv("VK_ICD_FILENAMES", "/nonexistent", 1);
  setenv("VK_DRIVER_FILES", "/nonexistent", 1);
  const BackendStatus now = status();
  bool good = !now.usable && now.reason.find("no Vulkan driver") != std::string::npos &&
              now.hint.find("VK_ICD_FILENAMES") != std::string::npos && list_devices().empty() &&
              refused_devices().empty();
  try {
    open_device(0);
    good = false;
  } catch (const Error&) {
  }
  std::_Exit(good ? 0 : 1);
}

// In a process of its own: an instance, once made, stays.
TEST(VulkanLoader, AMachineWithoutDriversSaysSo) {
  if (!SharedLibrary("libvulkan.so.1").loaded()) GTEST_SKIP() << "SKIP: no Vulkan loader here";
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_EXIT(judge_without_drivers(), testing::ExitedWithCode(0), "");
}

class VulkanDevices : public OnVulkan {};

TEST_F(VulkanDevices, AreNamedWithTheirLimits) {
  const std::vector<DeviceInfo> devices = list_devices();
  ASSERT_THAT(devices, Not(IsEmpty()));
  for (std::size_t i = 0; i < devices.size(); ++i) {
    const DeviceInfo& info = devices[i];
    EXPECT_EQ(to_string(info.id), "vulkan:" + std::to_string(i));
    EXPECT_THAT(info.name, Not(IsEmpty()));
    EXPECT_THAT(info.driver, Not(IsEmpty()));
    EXPECT_THAT(info.arch, HasSubstr("vulkan 1."));
    EXPECT_GT(info.memory_bytes, 0U);
    EXPECT_GT(info.lanes, 0);
    EXPECT_GT(info.compute_units, 0);
    EXPECT_FALSE(info.unified);
    // Vulkan promises an allocation of a gigabyte.
    EXPECT_GE(info.max_view_bytes, std::uint64_t{1} << 30U);
    EXPECT_GE(info.software, devices[i == 0 ? 0 : i - 1].software) << "CPU drivers come last";
  }
  EXPECT_TRUE(status().usable);
  EXPECT_THAT(status().reason, IsEmpty());
  const VulkanLimits& limits = device_->limits();
  EXPECT_GE(limits.shared_bytes, 16384U);
  EXPECT_GE(limits.max_invocations, 128U);
  EXPECT_GE(limits.max_groups[0], 65535U);
}

TEST_F(VulkanDevices, OpenByIndex) {
  EXPECT_EQ(open_device(0)->info().name, device_->info().name);
  for (int index : {-1, 1000}) {
    try {
      open_device(index);
      FAIL() << "opened device " << index;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::device_missing);
      EXPECT_THAT(error.subject(), HasSubstr(std::to_string(index)));
    }
  }
}

TEST_F(VulkanDevices, CeilingsAreMeasured) {
  const Ceilings ceilings = measure_ceilings(*device_);
  EXPECT_GT(ceilings.read_bytes_per_second, 1e6);
  EXPECT_GT(ceilings.f32_flops_per_second, 1e6);
  EXPECT_EQ(ceilings.int8_ops_per_second > 0, device_->limits().has_fast_int_dot);
  EXPECT_EQ(device_->memory().ours, 0U);
}

// Else the silence of the validation layer would prove nothing.
TEST_F(VulkanDevices, TheValidationLayerIsHeard) {
  if (!validated_) GTEST_SKIP() << "SKIP: VK_LAYER_KHRONOS_validation is not installed";
  auto stream = compute();
  const Buffer buffer = device_bytes(64);
  const auto& functions = device_->context().functions();
  VkBuffer none = VK_NULL_HANDLE;
  auto info = make<VkBufferCreateInfo>(VK_STRUCTURE_TYPE_BUFFER_CREATE_INFO);
  info.usage = VK_BUFFER_USAGE_TRANSFER_SRC_BIT;
  functions.vkCreateBuffer(device_->context().handle(), &info, nullptr, &none);
  functions.vkDestroyBuffer(device_->context().handle(), none, nullptr);
  try {
    stream->synchronize();
    FAIL() << "a buffer of no bytes was accepted";
  } catch (const Error& error) {
    EXPECT_THAT(error.detail(), HasSubstr("VUID-VkBufferCreateInfo-size"));
  }
}

}  // namespace
}  // namespace strata::vulkan
