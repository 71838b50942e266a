#pragma once

#include "backends/vulkan/api.h"

namespace strata::vulkan {

struct PhysicalDevice;

/// The features of a device that we ask about and switch on, as Vulkan's chain of structures. It
/// does not move: its members point at each other.
struct Features {
  /// Chains what `device` knows by its version and extensions.
  explicit Features(const PhysicalDevice& device);
  Features(const Features&) = delete;
  Features& operator=(const Features&) = delete;

  /// Leaves on only what we use.
  void keep_used();

  VkPhysicalDeviceFeatures2 base;
  VkPhysicalDeviceVulkan11Features vulkan11;
  VkPhysicalDeviceVulkan12Features vulkan12;
  VkPhysicalDeviceSubgroupSizeControlFeatures subgroup_size;
  VkPhysicalDeviceShaderIntegerDotProductFeatures int_dot;
  VkPhysicalDeviceCooperativeMatrixFeaturesKHR coopmat;
};

/// The properties that limits and names come from, chained likewise.
struct Properties {
  explicit Properties(const PhysicalDevice& device);
  Properties(const Properties&) = delete;
  Properties& operator=(const Properties&) = delete;

  VkPhysicalDeviceProperties2 base;
  VkPhysicalDeviceVulkan11Properties vulkan11;
  VkPhysicalDeviceVulkan12Properties vulkan12;
  VkPhysicalDeviceSubgroupSizeControlProperties subgroup_size;
  VkPhysicalDeviceShaderIntegerDotProductProperties int_dot;
  VkPhysicalDeviceMaintenance4Properties maintenance4;
  VkPhysicalDeviceExternalMemoryHostPropertiesEXT import;
  VkPhysicalDeviceShaderCorePropertiesAMD amd_cores;
  VkPhysicalDeviceShaderSMBuiltinsPropertiesNV nvidia_cores;
};

}  // namespace strata::vulkan
