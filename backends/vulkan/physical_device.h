#pragma once

#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "backends/vulkan/api.h"
#include "backends/vulkan/instance.h"
#include "backends/vulkan/limits.h"
#include "runtime/core/device.h"

namespace strata::vulkan {

/// A queue family that streams use, and how many of its queues.
struct QueueFamily {
  std::uint32_t index = 0;
  std::uint32_t queues = 0;
  bool computes = false;  ///< else only copies
};

/// All that is asked of a physical device before it is opened.
struct PhysicalDevice {
  VkPhysicalDevice handle = VK_NULL_HANDLE;
  VkPhysicalDeviceProperties properties{};
  VkPhysicalDeviceMemoryProperties memory{};
  std::set<std::string, std::less<>> extensions;
  DeviceInfo info;
  VulkanLimits limits;
  /// The first computes; copies may have a family of their own.
  std::vector<QueueFamily> families;
  std::uint32_t device_memory_type = 0;
  std::uint32_t pinned_memory_type = 0;
  std::string why_not;  ///< "" when it can be opened

  bool has(std::string_view extension) const { return extensions.count(extension) != 0; }
  /// 1.3, or 1.2 with the extension whose promotion it is.
  bool has_promoted(std::string_view extension) const {
    return properties.apiVersion >= VK_API_VERSION_1_3 || has(extension);
  }
};

/// Looks at one device; what it lacks is in `why_not`.
PhysicalDevice examine(const Instance& instance, VkPhysicalDevice handle);

/// Every device that can be opened, in the order and with the ids of backend.h, then the others.
std::vector<PhysicalDevice> examine_all(const Instance& instance);

}  // namespace strata::vulkan
