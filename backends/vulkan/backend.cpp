#include "backends/vulkan/backend.h"

#include <fmt/format.h>

#include "backends/vulkan/context.h"
#include "backends/vulkan/vulkan_device.h"
#include "runtime/core/error.h"

namespace strata::vulkan {
namespace {

std::string refusal(const PhysicalDevice& device) {
  return fmt::format("{}: {}", device.info.name, device.why_not);
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
