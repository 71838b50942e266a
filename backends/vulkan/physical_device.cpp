#include "backends/vulkan/physical_device.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <limits>
#include <optional>

#include "backends/vulkan/features.h"
#include "runtime/core/cpus.h"

namespace strata::vulkan {
namespace {

// The work that we give a queue: no more of a family's queues are of use than streams run at once.
constexpr std::uint32_t kQueues = 3;

int rank(const PhysicalDevice& device) {
  switch (device.properties.deviceType) {
    case VK_PHYSICAL_DEVICE_TYPE_DISCRETE_GPU:
      return 0;
    case VK_PHYSICAL_DEVICE_TYPE_INTEGRATED_GPU:
      return 1;
    case VK_PHYSICAL_DEVICE_TYPE_VIRTUAL_GPU:
      return 2;
    default:
      return 3;
  }
}

void read_extensions(const Instance& instance, PhysicalDevice& device) {
  const auto enumerate = instance.functions().vkEnumerateDeviceExtensionProperties;
  std::uint32_t count = 0;
  enumerate(device.handle, nullptr, &count, nullptr);
  std::vector<VkExtensionProperties> extensions(count);
  enumerate(device.handle, nullptr, &count, extensions.data());
  for (const VkExtensionProperties& extension : extensions)
    device.extensions.emplace(extension.extensionName);
}

// One family that computes, preferring one that does not draw; and one that only copies, where the
// first has no queues to spare.
void choose_families(const Instance& instance, PhysicalDevice& device) {
  std::uint32_t count = 0;
  instance.functions().vkGetPhysicalDeviceQueueFamilyProperties(device.handle, &count, nullptr);
  std::vector<VkQueueFamilyProperties> families(count);
  instance.functions().vkGetPhysicalDeviceQueueFamilyProperties(device.handle, &count,
                                                                families.data());
  std::optional<QueueFamily> compute;
  std::optional<QueueFamily> copies;
  for (std::uint32_t i = 0; i < count; ++i) {
    const VkQueueFlags flags = families[i].queueFlags;
    const std::uint32_t queues = std::min(families[i].queueCount, kQueues);
    if ((flags & VK_QUEUE_COMPUTE_BIT) != 0) {
      if (!compute || (flags & VK_QUEUE_GRAPHICS_BIT) == 0) compute = QueueFamily{i, queues, true};
    } else if ((flags & VK_QUEUE_TRANSFER_BIT) != 0 && (flags & VK_QUEUE_GRAPHICS_BIT) == 0) {
      copies = copies.value_or(QueueFamily{i, std::min(queues, kQueues - 1), false});
    }
  }
  if (!compute) {
    device.why_not = "it has no queue that computes";
    return;
  }
  device.families.push_back(*compute);
  if (copies) device.families.push_back(*copies);
}

// The type with all of `wanted` and, of those, the fewest of `unwanted` flags; the largest heap
// wins among equals.
std::optional<std::uint32_t> find_type(const VkPhysicalDeviceMemoryProperties& memory,
                                       VkMemoryPropertyFlags wanted,
                                       VkMemoryPropertyFlags unwanted) {
  std::optional<std::uint32_t> best;
  const auto has_unwanted = [&](std::uint32_t type) {
    return (memory.memoryTypes[type].propertyFlags & unwanted) != 0;
  };
  const auto heap_bytes = [&](std::uint32_t type) {
    return memory.memoryHeaps[memory.memoryTypes[type].heapIndex].size;
  };
  for (std::uint32_t type = 0; type < memory.memoryTypeCount; ++type) {
    constexpr VkMemoryPropertyFlags kSpecial =
        VK_MEMORY_PROPERTY_PROTECTED_BIT | VK_MEMORY_PROPERTY_LAZILY_ALLOCATED_BIT |
        VK_MEMORY_PROPERTY_DEVICE_COHERENT_BIT_AMD | VK_MEMORY_PROPERTY_DEVICE_UNCACHED_BIT_AMD;
    const VkMemoryPropertyFlags flags = memory.memoryTypes[type].propertyFlags;
    if ((flags & wanted) != wanted || (flags & kSpecial) != 0) continue;
    if (!best || has_unwanted(type) < has_unwanted(*best) ||
        (has_unwanted(type) == has_unwanted(*best) && heap_bytes(type) > heap_bytes(*best)))
      best = type;
  }
  return best;
}

void choose_memory(PhysicalDevice& device) {
  constexpr VkMemoryPropertyFlags kHost =
      VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT | VK_MEMORY_PROPERTY_HOST_COHERENT_BIT;
  constexpr VkMemoryPropertyFlags kLocal = VK_MEMORY_PROPERTY_DEVICE_LOCAL_BIT;
  const VkPhysicalDeviceMemoryProperties& memory = device.memory;
  const auto local = find_type(memory, kLocal, VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT);
  auto pinned = find_type(memory, kHost | VK_MEMORY_PROPERTY_HOST_CACHED_BIT, kLocal);
  if (!pinned) pinned = find_type(memory, kHost, kLocal);
  if (!local || !pinned) {
    device.why_not =
        local ? "it has no memory that the host can write" : "it has no memory of its own";
    return;
  }
  device.device_memory_type = *local;
  device.pinned_memory_type = *pinned;
  device.info.memory_bytes = memory.memoryHeaps[memory.memoryTypes[*local].heapIndex].size;
}

void read_shapes(const Instance& instance, PhysicalDevice& device) {
  const auto query = instance.functions().vkGetPhysicalDeviceCooperativeMatrixPropertiesKHR;
  if (query == nullptr) return;
  std::uint32_t count = 0;
  if (query(device.handle, &count, nullptr) != VK_SUCCESS) return;
  std::vector<VkCooperativeMatrixPropertiesKHR> shapes(
      count,
      make<VkCooperativeMatrixPropertiesKHR>(VK_STRUCTURE_TYPE_COOPERATIVE_MATRIX_PROPERTIES_KHR));
  if (query(device.handle, &count, shapes.data()) < VK_SUCCESS) return;
  for (const VkCooperativeMatrixPropertiesKHR& shape : shapes) {
    if (shape.scope != VK_SCOPE_SUBGROUP_KHR || shape.AType != shape.BType ||
        shape.CType != shape.ResultType || shape.saturatingAccumulation != VK_FALSE)
      continue;
    const bool f16 = shape.AType == VK_COMPONENT_TYPE_FLOAT16_KHR &&
                     shape.CType == VK_COMPONENT_TYPE_FLOAT32_KHR;
    const bool i8 =
        shape.AType == VK_COMPONENT_TYPE_SINT8_KHR && shape.CType == VK_COMPONENT_TYPE_SINT32_KHR;
    using Elements = CooperativeShape::Elements;
    if (f16 || i8)
      device.limits.cooperative_shapes.push_back(
          {f16 ? Elements::f16 : Elements::i8, shape.MSize, shape.NSize, shape.KSize});
  }
  device.limits.has_coopmat = !device.limits.cooperative_shapes.empty();
}

// Shaders with cooperative matrices need arithmetic on halves and Vulkan's memory model as well.
void read_coopmat(const Instance& instance, PhysicalDevice& device, const Features& features) {
  std::string& why_not = device.limits.why_no_coopmat;
  if (!device.has(VK_KHR_COOPERATIVE_MATRIX_EXTENSION_NAME) ||
      features.coopmat.cooperativeMatrix == VK_FALSE) {
    why_not = "the device does not offer VK_KHR_cooperative_matrix";
  } else if (!device.limits.has_f16 || features.vulkan12.vulkanMemoryModel == VK_FALSE) {
    why_not = "the device has no arithmetic on halves, or not Vulkan's memory model";
  } else {
    read_shapes(instance, device);
    if (!device.limits.has_coopmat) why_not = "the device offers none with sums in f32 or i32";
  }
}

// STRATA_VULKAN_COOPMAT: "off", for a driver whose matrices are broken, or "emulated", for tests.
void apply_coopmat_wish(PhysicalDevice& device) {
  const char* variable = std::getenv("STRATA_VULKAN_COOPMAT");
  const std::string_view wish = variable == nullptr ? "" : variable;
  if (wish.empty()) return;
  VulkanLimits& limits = device.limits;
  limits.cooperative_shapes.clear();
  limits.emulates_coopmat = wish == "emulated";
  if (limits.emulates_coopmat)
    limits.cooperative_shapes.push_back({CooperativeShape::Elements::f16, 16, 16, 16});
  else if (wish != "off")
    device.why_not = fmt::format("STRATA_VULKAN_COOPMAT is \"{}\", neither off nor emulated", wish);
  limits.has_coopmat = !limits.cooperative_shapes.empty();
  limits.why_no_coopmat = limits.has_coopmat ? "" : "STRATA_VULKAN_COOPMAT is off";
}

void read_limits(PhysicalDevice& device, const Properties& properties) {
  const VkPhysicalDeviceLimits& from = properties.base.properties.limits;
  VulkanLimits& limits = device.limits;
  limits.subgroup_size = properties.vulkan11.subgroupSize;
  limits.min_subgroup_size = limits.subgroup_size;
  limits.max_subgroup_size = limits.subgroup_size;
  limits.shared_bytes = from.maxComputeSharedMemorySize;
  std::copy_n(from.maxComputeWorkGroupCount, 3, limits.max_groups.begin());
  limits.max_invocations =
      std::min(from.maxComputeWorkGroupInvocations, from.maxComputeWorkGroupSize[0]);
  limits.max_buffer_bytes = properties.vulkan11.maxMemoryAllocationSize;
  if (properties.maintenance4.maxBufferSize != 0)
    limits.max_buffer_bytes =
        std::min(limits.max_buffer_bytes, properties.maintenance4.maxBufferSize);
  // Beside memory of its own, pages of the host would be read over the bus again and again.
  const VkPhysicalDeviceType type = properties.base.properties.deviceType;
  if (type == VK_PHYSICAL_DEVICE_TYPE_INTEGRATED_GPU || type == VK_PHYSICAL_DEVICE_TYPE_CPU)
    limits.import_alignment = properties.import.minImportedHostPointerAlignment;
  if ((properties.vulkan11.subgroupSupportedStages & VK_SHADER_STAGE_COMPUTE_BIT) != 0) {
    const VkSubgroupFeatureFlags operations = properties.vulkan11.subgroupSupportedOperations;
    limits.has_subgroup_arithmetic = (operations & VK_SUBGROUP_FEATURE_ARITHMETIC_BIT) != 0;
    limits.has_subgroup_shuffle = (operations & VK_SUBGROUP_FEATURE_SHUFFLE_BIT) != 0;
  }
}

void read_features(const Instance& instance, PhysicalDevice& device, const Properties& properties) {
  Features features(device);
  instance.functions().vkGetPhysicalDeviceFeatures2(device.handle, &features.base);
  VulkanLimits& limits = device.limits;
  limits.has_f16 = features.vulkan12.shaderFloat16 != VK_FALSE;
  limits.has_int8 = features.vulkan12.shaderInt8 != VK_FALSE;
  limits.has_int_dot = features.int_dot.shaderIntegerDotProduct != VK_FALSE;
  limits.has_fast_int_dot =
      limits.has_int_dot &&
      properties.int_dot.integerDotProduct4x8BitPackedSignedAccelerated != VK_FALSE;
  const VkPhysicalDeviceSubgroupSizeControlProperties& sizes = properties.subgroup_size;
  if (features.subgroup_size.subgroupSizeControl != VK_FALSE &&
      features.subgroup_size.computeFullSubgroups != VK_FALSE &&
      (sizes.requiredSubgroupSizeStages & VK_SHADER_STAGE_COMPUTE_BIT) != 0) {
    limits.has_subgroup_control = true;
    limits.min_subgroup_size = sizes.minSubgroupSize;
    limits.max_subgroup_size = sizes.maxSubgroupSize;
  }
  read_coopmat(instance, device, features);
  apply_coopmat_wish(device);
  if (features.vulkan12.timelineSemaphore == VK_FALSE)
    device.why_not = "it has no timeline semaphores";
  else if (features.vulkan12.bufferDeviceAddress == VK_FALSE)
    device.why_not = "it has no buffer device addresses";
}

int compute_units(const PhysicalDevice& device, const Properties& properties) {
  if (properties.nvidia_cores.shaderSMCount != 0)
    return static_cast<int>(properties.nvidia_cores.shaderSMCount);
  const VkPhysicalDeviceShaderCorePropertiesAMD& amd = properties.amd_cores;
  if (amd.shaderEngineCount != 0)
    return static_cast<int>(amd.shaderEngineCount * amd.shaderArraysPerEngineCount *
                            amd.computeUnitsPerShaderArray);
  return device.info.software ? default_threads(allowed_cpus()) : 1;
}

void read_info(PhysicalDevice& device, const Properties& properties) {
  DeviceInfo& info = device.info;
  info.software = device.properties.deviceType == VK_PHYSICAL_DEVICE_TYPE_CPU;
  info.driver =
      fmt::format("{} {}", properties.vulkan12.driverName, properties.vulkan12.driverInfo);
  info.arch = fmt::format("vulkan {}.{}", VK_API_VERSION_MAJOR(device.properties.apiVersion),
                          VK_API_VERSION_MINOR(device.properties.apiVersion));
  info.lanes = static_cast<int>(device.limits.subgroup_size);
  info.compute_units = compute_units(device, properties);
  info.max_view_bytes = device.limits.max_buffer_bytes;
  // Views hold buffer device addresses, which the host cannot read even where memory is shared.
  info.unified = false;
}

}  // namespace

PhysicalDevice examine(const Instance& instance, VkPhysicalDevice handle) {
  PhysicalDevice device;
  device.handle = handle;
  const InstanceFunctions& functions = instance.functions();
  auto plain = make<VkPhysicalDeviceProperties2>(VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PROPERTIES_2);
  functions.vkGetPhysicalDeviceProperties2(handle, &plain);
  device.properties = plain.properties;
  // What a device knows is capped by what the instance asked for.
  device.properties.apiVersion = std::min(device.properties.apiVersion, instance.version() | 0xFFF);
  device.info.id.backend = BackendKind::vulkan;
  device.info.name = device.properties.deviceName;
  if (device.properties.apiVersion < VK_API_VERSION_1_2) {
    device.why_not = fmt::format("it has Vulkan {}.{}, 1.2 is needed",
                                 VK_API_VERSION_MAJOR(device.properties.apiVersion),
                                 VK_API_VERSION_MINOR(device.properties.apiVersion));
    return device;
  }
  read_extensions(instance, device);
  auto memory = make<VkPhysicalDeviceMemoryProperties2>(
      VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MEMORY_PROPERTIES_2);
  functions.vkGetPhysicalDeviceMemoryProperties2(handle, &memory);
  device.memory = memory.memoryProperties;
  Properties properties(device);
  functions.vkGetPhysicalDeviceProperties2(handle, &properties.base);
  read_limits(device, properties);
  read_info(device, properties);
  read_features(instance, device, properties);
  if (device.why_not.empty()) choose_families(instance, device);
  if (device.why_not.empty()) choose_memory(device);
  return device;
}

std::vector<PhysicalDevice> examine_all(const Instance& instance) {
  std::vector<PhysicalDevice> devices;
  for (VkPhysicalDevice handle : instance.physical_devices())
    devices.push_back(examine(instance, handle));
  std::stable_sort(devices.begin(), devices.end(),
                   [](const PhysicalDevice& a, const PhysicalDevice& b) {
                     const bool usable = a.why_not.empty();
                     if (usable != b.why_not.empty()) return usable;
                     return rank(a) < rank(b);
                   });
  for (std::size_t i = 0; i < devices.size(); ++i) devices[i].info.id.index = static_cast<int>(i);
  return devices;
}

}  // namespace strata::vulkan
