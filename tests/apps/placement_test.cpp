#include "apps/cli/placement.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "runtime/core/error.h"

namespace strata::cli {
namespace {

using testing::HasSubstr;

// Machines as `strata devices` would list them.
DeviceInfo device(BackendKind backend, int index, bool software = false) {
  DeviceInfo info;
  info.id = {backend, index};
  info.software = software;
  return info;
}
std::vector<DeviceInfo> cpu_only() {
  return {device(BackendKind::vulkan, 0, true), device(BackendKind::cpu, 0)};
}
std::vector<DeviceInfo> two_gpus() {
  return {device(BackendKind::cuda, 0), device(BackendKind::cuda, 1),
          device(BackendKind::vulkan, 0), device(BackendKind::cpu, 0)};
}

// "cuda:0 cpu:0", with "/12" behind it for a limit of layers.
std::string chosen(const PlacementWish& wish, const DeviceLister& present) {
  const Placement placement = choose_devices(wish, present);
  std::string text;
  for (const DeviceId& id : placement.devices) text += (text.empty() ? "" : " ") + to_string(id);
  if (placement.gpu_layers) text += "/" + std::to_string(*placement.gpu_layers);
  return text;
}

Error refused(const PlacementWish& wish, const DeviceLister& present) {
  try {
    (void)choose_devices(wish, present);
  } catch (const Error& error) {
    return error;
  }
  ADD_FAILURE() << wish.device << " -ngl " << wish.gpu_layers << " was accepted";
  return Error(ErrorCode::runtime, "", "");
}

TEST(Placement, WithoutAWordTheFirstRealGpuElseTheCpu) {
  EXPECT_EQ(chosen({}, two_gpus), "cuda:0");
  EXPECT_EQ(chosen({}, cpu_only), "cpu:0") << "lavapipe is used only where it is asked for";
  EXPECT_EQ(chosen({"vulkan:0", "", {}}, cpu_only), "vulkan:0");
}

TEST(Placement, NamedDevicesInTheirOrder) {
  const DeviceLister nobody_asks = []() -> std::vector<DeviceInfo> {
    ADD_FAILURE() << "drivers were asked";
    return {};
  };
  EXPECT_EQ(chosen({"cpu", "", {}}, nobody_asks), "cpu:0");
  EXPECT_EQ(chosen({"cuda:1,cpu", "", {}}, nobody_asks), "cuda:1 cpu:0");
  EXPECT_EQ(chosen({"cpu,vulkan", "", {}}, nobody_asks), "cpu:0 vulkan:0");
  EXPECT_EQ(chosen({"CUDA1,ROCm0,Vulkan2", "", {}}, nobody_asks), "cuda:1 hip:0 vulkan:2");
  EXPECT_EQ(chosen({"none", "", {}}, nobody_asks), "cpu:0");
  EXPECT_EQ(chosen({"", "0", {}}, nobody_asks), "cpu:0");
}

TEST(Placement, LayersOnTheGpu) {
  EXPECT_EQ(chosen({"", "0", {}}, two_gpus), "cpu:0");
  EXPECT_EQ(chosen({"cuda:0", "0", {}}, two_gpus), "cpu:0");
  EXPECT_EQ(chosen({"", "all", {}}, two_gpus), "cuda:0");
  EXPECT_EQ(chosen({"", "-1", {}}, two_gpus), "cuda:0");
  EXPECT_EQ(chosen({"", "auto", {}}, two_gpus), "cuda:0 cpu:0");
  EXPECT_EQ(chosen({"", "auto", {}}, cpu_only), "cpu:0");
  EXPECT_EQ(chosen({"cuda:0,cpu", "auto", {}}, two_gpus), "cuda:0 cpu:0");
  EXPECT_EQ(chosen({"", "12", {}}, two_gpus), "cuda:0/12");
  EXPECT_EQ(chosen({"vulkan:0", "7", {}}, cpu_only), "vulkan:0/7");
}

// What may happen to layers that do not fit.
TEST(Placement, LayersThatWereCountedAreNotStreamed) {
  const auto must_fit = [](const char* device, const char* layers) {
    return choose_devices({device, layers, {}}, two_gpus).must_fit;
  };
  for (const char* layers : {"all", "-1", "12", "1", "auto"})
    EXPECT_TRUE(must_fit("cuda:0", layers)) << layers;
  for (const char* layers : {"", "0"}) EXPECT_FALSE(must_fit("cuda:0", layers)) << layers;
  EXPECT_FALSE(must_fit("cpu", "auto")) << "a model larger than memory streams on the CPU";
}

TEST(Placement, TheCpuHelpsUnlessADeviceWasNamed) {
  const auto helps = [](const char* device, const char* layers) {
    return choose_devices({device, layers, {}}, two_gpus).cpu_may_help;
  };
  EXPECT_TRUE(helps("", ""));
  EXPECT_TRUE(helps("cuda:0,cpu", ""));
  EXPECT_TRUE(helps("cuda:0", "auto"));
  EXPECT_TRUE(helps("cpu", ""));
  EXPECT_FALSE(helps("cuda:0", ""));
  EXPECT_FALSE(helps("cuda:0,cuda:1", "all"));
}

TEST(Placement, OneDeviceByItsName) {
  EXPECT_EQ(device_named("CPU"), (DeviceId{BackendKind::cpu, 0}));
  EXPECT_EQ(device_named("cpu"), (DeviceId{BackendKind::cpu, 0}));
  EXPECT_EQ(device_named("CUDA1"), (DeviceId{BackendKind::cuda, 1}));
  EXPECT_EQ(device_named("sim:0"), (DeviceId{BackendKind::sim, 0}));
  for (const char* name : {"", "toaster", "CUDA_Host", "cpu "})
    EXPECT_FALSE(device_named(name)) << name;
}

TEST(Placement, TheMainGpuIsCountedAmongThoseToChooseFrom) {
  EXPECT_EQ(chosen({"", "", 1}, two_gpus), "cuda:1");
  EXPECT_EQ(chosen({"", "", 2}, two_gpus), "vulkan:0");
  EXPECT_EQ(chosen({"", "", 0}, cpu_only), "vulkan:0") << "asked for";
  EXPECT_EQ(chosen({"cpu,vulkan:0,cuda:0", "", 1}, two_gpus), "cuda:0 cpu:0");
  const Error error = refused({"", "", 3}, two_gpus);
  EXPECT_EQ(error.code(), ErrorCode::device_missing);
  EXPECT_THAT(error.hint(), HasSubstr("cuda:0, cuda:1, vulkan:0"));
}

TEST(Placement, WhatCannotBeIsAnError) {
  for (const char* layers : {"1", "99", "all"}) {
    EXPECT_EQ(refused({"", layers, {}}, cpu_only).code(), ErrorCode::device_missing) << layers;
    EXPECT_EQ(refused({"cpu", layers, {}}, two_gpus).code(), ErrorCode::device_missing) << layers;
  }
  for (const char* layers : {"some", "-2", "1.5", "12 "})
    EXPECT_EQ(refused({"", layers, {}}, two_gpus).code(), ErrorCode::usage) << layers;
  for (const char* name : {"toaster", ",", "cuda:0,", "cuda:-1", "CUDA", "CUDA-1", "cuda:0,cuda"})
    EXPECT_EQ(refused({name, "", {}}, two_gpus).code(), ErrorCode::usage) << name;
  EXPECT_THAT(refused({"toaster", "", {}}, two_gpus).hint(), HasSubstr("cuda:1"));
}

}  // namespace
}  // namespace strata::cli
