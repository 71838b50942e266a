#include "backends/vulkan/context.h"

#include <utility>

#include "backends/vulkan/features.h"
#include "runtime/core/error.h"

namespace strata::vulkan {
namespace {

std::vector<const char*> wanted_extensions(const PhysicalDevice& device) {
  constexpr const char* kWanted[] = {VK_EXT_EXTERNAL_MEMORY_HOST_EXTENSION_NAME,
                                     VK_EXT_MEMORY_BUDGET_EXTENSION_NAME,
                                     VK_KHR_COOPERATIVE_MATRIX_EXTENSION_NAME};
  constexpr const char* kWantedBefore13[] = {VK_EXT_SUBGROUP_SIZE_CONTROL_EXTENSION_NAME,
                                             VK_KHR_SHADER_INTEGER_DOT_PRODUCT_EXTENSION_NAME,
                                             VK_KHR_MAINTENANCE_4_EXTENSION_NAME};
  std::vector<const char*> names;
  for (const char* name : kWanted)
    if (device.has(name)) names.push_back(name);
  if (device.properties.apiVersion < VK_API_VERSION_1_3)
    for (const char* name : kWantedBefore13)
      if (device.has(name)) names.push_back(name);
  return names;
}

}  // namespace

Context::Context(std::shared_ptr<Instance> instance, PhysicalDevice physical)
    : instance_(std::move(instance)),
      physical_(std::move(physical)),
      name_(to_string(physical_.info.id)) {
  open();
  try {
    functions_ = load_device(instance_->functions(), handle_);
    find_queues();
  } catch (...) {
    const auto destroy = reinterpret_cast<PFN_vkDestroyDevice>(
        instance_->functions().vkGetDeviceProcAddr(handle_, "vkDestroyDevice"));
    if (destroy != nullptr) destroy(handle_, nullptr);
    throw;
  }
}

Context::~Context() { functions_.vkDestroyDevice(handle_, nullptr); }

void Context::open() {
  Features features(physical_);
  instance_->functions().vkGetPhysicalDeviceFeatures2(physical_.handle, &features.base);
  features.keep_used();
  const std::vector<const char*> extensions = wanted_extensions(physical_);
  constexpr float kPriorities[] = {1.0F, 1.0F, 1.0F};
  std::vector<VkDeviceQueueCreateInfo> queues;
  for (const QueueFamily& family : physical_.families) {
    auto queue = make<VkDeviceQueueCreateInfo>(VK_STRUCTURE_TYPE_DEVICE_QUEUE_CREATE_INFO);
    queue.queueFamilyIndex = family.index;
    queue.queueCount = family.queues;
    queue.pQueuePriorities = kPriorities;
    queues.push_back(queue);
    family_indices_.push_back(family.index);
  }
  auto info = make<VkDeviceCreateInfo>(VK_STRUCTURE_TYPE_DEVICE_CREATE_INFO);
  info.pNext = &features.base;
  info.queueCreateInfoCount = static_cast<std::uint32_t>(queues.size());
  info.pQueueCreateInfos = queues.data();
  info.enabledExtensionCount = static_cast<std::uint32_t>(extensions.size());
  info.ppEnabledExtensionNames = extensions.data();
  const VkResult result =
      instance_->functions().vkCreateDevice(physical_.handle, &info, nullptr, &handle_);
  if (result != VK_SUCCESS)
    throw Error(ErrorCode::device_missing, name_,
                "vkCreateDevice failed with " + result_text(result),
                "another process may hold the GPU; vulkaninfo shows whether the driver works");
}

void Context::find_queues() {
  for (const QueueFamily& family : physical_.families) {
    for (std::uint32_t i = 0; i < family.queues; ++i) {
      Queue& queue = queues_.emplace_back();
      functions_.vkGetDeviceQueue(handle_, family.index, i, &queue.handle);
      queue.family = family.index;
      queue.computes = family.computes;
    }
  }
  // Compute has the first; copies have a family of their own, else the queues behind the first.
  const std::size_t own = physical_.families.size() > 1 ? physical_.families[0].queues : 1;
  const auto at = [&](std::size_t i) {
    return &queues_[i < queues_.size() ? i : queues_.size() - 1];
  };
  roles_[static_cast<int>(StreamRole::compute)] = &queues_[0];
  roles_[static_cast<int>(StreamRole::upload)] = at(own);
  roles_[static_cast<int>(StreamRole::download)] = at(own + 1);
}

Queue& Context::queue(StreamRole role) { return *roles_[static_cast<int>(role)]; }

}  // namespace strata::vulkan
