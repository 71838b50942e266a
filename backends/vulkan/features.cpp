#include "backends/vulkan/features.h"

#include "backends/vulkan/physical_device.h"

namespace strata::vulkan {
namespace {

// Puts `next` right behind `head`.
template <class Head, class Next>
void link(Head& head, Next& next) {
  next.pNext = head.pNext;
  head.pNext = &next;
}

}  // namespace

Features::Features(const PhysicalDevice& device)
    : base(make<VkPhysicalDeviceFeatures2>(VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FEATURES_2)),
      vulkan11(make<VkPhysicalDeviceVulkan11Features>(
          VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_1_FEATURES)),
      vulkan12(make<VkPhysicalDeviceVulkan12Features>(
          VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_2_FEATURES)),
      subgroup_size(make<VkPhysicalDeviceSubgroupSizeControlFeatures>(
          VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SUBGROUP_SIZE_CONTROL_FEATURES)),
      int_dot(make<VkPhysicalDeviceShaderIntegerDotProductFeatures>(
          VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SHADER_INTEGER_DOT_PRODUCT_FEATURES)),
      coopmat(make<VkPhysicalDeviceCooperativeMatrixFeaturesKHR>(
          VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_COOPERATIVE_MATRIX_FEATURES_KHR)) {
  link(base, vulkan11);
  link(base, vulkan12);
  if (device.has_promoted(VK_EXT_SUBGROUP_SIZE_CONTROL_EXTENSION_NAME)) link(base, subgroup_size);
  if (device.has_promoted(VK_KHR_SHADER_INTEGER_DOT_PRODUCT_EXTENSION_NAME)) link(base, int_dot);
  if (device.has(VK_KHR_COOPERATIVE_MATRIX_EXTENSION_NAME)) link(base, coopmat);
}

void Features::keep_used() {
  const VkPhysicalDeviceFeatures was = base.features;
  base.features = {};
  base.features.shaderInt16 = was.shaderInt16;
  base.features.shaderInt64 = was.shaderInt64;

  const VkPhysicalDeviceVulkan11Features was11 = vulkan11;
  vulkan11 = make<VkPhysicalDeviceVulkan11Features>(was11.sType);
  vulkan11.pNext = was11.pNext;
  vulkan11.storageBuffer16BitAccess = was11.storageBuffer16BitAccess;

  const VkPhysicalDeviceVulkan12Features was12 = vulkan12;
  vulkan12 = make<VkPhysicalDeviceVulkan12Features>(was12.sType);
  vulkan12.pNext = was12.pNext;
  vulkan12.timelineSemaphore = was12.timelineSemaphore;
  vulkan12.bufferDeviceAddress = was12.bufferDeviceAddress;
  vulkan12.storageBuffer8BitAccess = was12.storageBuffer8BitAccess;
  vulkan12.shaderFloat16 = was12.shaderFloat16;
  vulkan12.shaderInt8 = was12.shaderInt8;
  vulkan12.vulkanMemoryModel = was12.vulkanMemoryModel;
  vulkan12.vulkanMemoryModelDeviceScope = was12.vulkanMemoryModelDeviceScope;
  vulkan12.shaderSubgroupExtendedTypes = was12.shaderSubgroupExtendedTypes;
  vulkan12.scalarBlockLayout = was12.scalarBlockLayout;
  coopmat.cooperativeMatrixRobustBufferAccess = VK_FALSE;
}

Properties::Properties(const PhysicalDevice& device)
    : base(make<VkPhysicalDeviceProperties2>(VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PROPERTIES_2)),
      vulkan11(make<VkPhysicalDeviceVulkan11Properties>(
          VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_1_PROPERTIES)),
      vulkan12(make<VkPhysicalDeviceVulkan12Properties>(
          VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_2_PROPERTIES)),
      subgroup_size(make<VkPhysicalDeviceSubgroupSizeControlProperties>(
          VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SUBGROUP_SIZE_CONTROL_PROPERTIES)),
      int_dot(make<VkPhysicalDeviceShaderIntegerDotProductProperties>(
          VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SHADER_INTEGER_DOT_PRODUCT_PROPERTIES)),
      maintenance4(make<VkPhysicalDeviceMaintenance4Properties>(
          VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MAINTENANCE_4_PROPERTIES)),
      import(make<VkPhysicalDeviceExternalMemoryHostPropertiesEXT>(
          VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_EXTERNAL_MEMORY_HOST_PROPERTIES_EXT)),
      amd_cores(make<VkPhysicalDeviceShaderCorePropertiesAMD>(
          VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SHADER_CORE_PROPERTIES_AMD)),
      nvidia_cores(make<VkPhysicalDeviceShaderSMBuiltinsPropertiesNV>(
          VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SHADER_SM_BUILTINS_PROPERTIES_NV)) {
  link(base, vulkan11);
  link(base, vulkan12);
  if (device.has_promoted(VK_EXT_SUBGROUP_SIZE_CONTROL_EXTENSION_NAME)) link(base, subgroup_size);
  if (device.has_promoted(VK_KHR_SHADER_INTEGER_DOT_PRODUCT_EXTENSION_NAME)) link(base, int_dot);
  if (device.has_promoted(VK_KHR_MAINTENANCE_4_EXTENSION_NAME)) link(base, maintenance4);
  if (device.has(VK_EXT_EXTERNAL_MEMORY_HOST_EXTENSION_NAME)) link(base, import);
  if (device.has(VK_AMD_SHADER_CORE_PROPERTIES_EXTENSION_NAME)) link(base, amd_cores);
  if (device.has(VK_NV_SHADER_SM_BUILTINS_EXTENSION_NAME)) link(base, nvidia_cores);
}

}  // namespace strata::vulkan
