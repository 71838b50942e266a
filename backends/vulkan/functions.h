#pragma once

#include <string>

#include "backends/vulkan/api.h"

namespace strata::vulkan {

/// What the loader answers without an instance.
struct GlobalFunctions {
  PFN_vkGetInstanceProcAddr vkGetInstanceProcAddr = nullptr;
#define STRATA_VULKAN_GLOBAL(name) PFN_##name name = nullptr;
#include "backends/vulkan/functions.def"
};

struct InstanceFunctions {
#define STRATA_VULKAN_INSTANCE(name) PFN_##name name = nullptr;
#define STRATA_VULKAN_INSTANCE_OPTIONAL(name) PFN_##name name = nullptr;
#include "backends/vulkan/functions.def"
};

/// Of one VkDevice: the driver's own, without the loader in between. Tests put failing functions in
/// their place.
struct DeviceFunctions {
#define STRATA_VULKAN_DEVICE(name) PFN_##name name = nullptr;
#define STRATA_VULKAN_DEVICE_OPTIONAL(name) PFN_##name name = nullptr;
#include "backends/vulkan/functions.def"
};

/// Opens the loader by file name or path. Throws Error{device_missing} when it is not there or too
/// old for Vulkan 1.2.
GlobalFunctions load_global(const std::string& library);
/// Throw Error{device_missing} naming the first function that is missing.
InstanceFunctions load_instance(const GlobalFunctions& global, VkInstance instance);
DeviceFunctions load_device(const InstanceFunctions& functions, VkDevice device);

/// "VK_ERROR_DEVICE_LOST (-4)"
std::string result_text(VkResult result);

/// Throws Error{runtime}, or Error{out_of_memory} where the result says that, unless it is
/// VK_SUCCESS. `subject` is the device.
void check(VkResult result, const std::string& subject, const char* function);

}  // namespace strata::vulkan
