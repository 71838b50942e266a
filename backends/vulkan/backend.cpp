#include "backends/vulkan/backend.h"

#include <fmt/format.h>

#include "backends/vulkan/context.h"
#include "backends/vulkan/ops/matmul_tiles.h"
#include "backends/vulkan/vulkan_device.h"
#include "runtime/core/error.h"

namespace strata::vulkan {
namespace {

std::string refusal(const PhysicalDevice& device) {
  return fmt::format("{}: {}", device.info.name, device.why_not);
}

// For weights of blocks: F32 weights are multiplied in f32 everywhere.
ProductPaths paths_of(const PhysicalDevice& device) {
  const VulkanLimits& limits = device.limits;
  ProductPaths paths{"plain arithmetic, f32", "plain arithmetic, f32",
                     why_no_tiles(limits, device.info.software)};
  if (paths.why_without_coopmat.empty()) {
    const CooperativeShape& matrix = *tile_matrix(limits);
    paths.prompts =
        fmt::format("cooperative matrices ({}), f16 {}x{}x{}",
                    limits.emulates_coopmat ? "emulated" : "KHR", matrix.m, matrix.n, matrix.k);
  }
  if (wanted_x(limits, DType::Q4_0, 1) == Layout::quantized)
    paths.few_tokens = "integer dot products, int8";
  return paths;
}

}  // namespace

BackendStatus status() {
  BackendStatus status;
  status.backend = BackendKind::vulkan;
  try {
    const std::shared_ptr<Instance> instance = shared_instance();
    status.versions = fmt::format("Vulkan {}.{}", VK_API_VERSION_MAJOR(instance->version()),
                                  VK_API_VERSION_MINOR(instance->version()));
    const std::vector<PhysicalDevice> devices = examine_all(*instance);
    status.usable = !devices.empty() && devices.front().why_not.empty();
    if (devices.empty()) status.reason = "the drivers find no device";
    for (const PhysicalDevice& device : devices)
      if (!status.usable) status.reason += (status.reason.empty() ? "" : "; ") + refusal(device);
    if (status.usable) return status;
    status.hint =
        devices.empty() ? "look at what vulkaninfo says of the driver" : "update the GPU's driver";
  } catch (const Error& error) {
    status.reason = error.detail();
    status.hint = error.hint();
  }
  return status;
}

std::vector<DeviceInfo> list_devices() {
  std::vector<DeviceInfo> infos;
  try {
    for (const PhysicalDevice& device : examine_all(*shared_instance()))
      if (device.why_not.empty()) infos.push_back(device.info);
  } catch (const Error&) {  // status() says why there is none
  }
  return infos;
}

std::vector<std::string> refused_devices() {
  std::vector<std::string> texts;
  try {
    for (const PhysicalDevice& device : examine_all(*shared_instance()))
      if (!device.why_not.empty()) texts.push_back(refusal(device));
  } catch (const Error&) {  // status() says why there is none
  }
  return texts;
}

ProductPaths product_paths(int index) {
  try {
    for (const PhysicalDevice& device : examine_all(*shared_instance()))
      if (device.why_not.empty() && device.info.id.index == index) return paths_of(device);
  } catch (const Error&) {  // status() says why there is none
  }
  return {};
}

std::unique_ptr<Device> open_device(int index) {
  std::shared_ptr<Instance> instance = shared_instance();
  std::vector<PhysicalDevice> devices = examine_all(*instance);
  const auto at = static_cast<std::size_t>(index);
  if (index < 0 || at >= devices.size() || !devices[at].why_not.empty()) {
    const BackendStatus now = status();
    throw Error(
        ErrorCode::device_missing, fmt::format("vulkan:{}", index),
        now.usable ? fmt::format("there is no Vulkan device of index {}", index) : now.reason,
        now.hint);
  }
  return std::make_unique<VulkanDevice>(
      std::make_shared<Context>(std::move(instance), std::move(devices[at])));
}

}  // namespace strata::vulkan
