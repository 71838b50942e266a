#include "backends/vulkan/functions.h"

#include <fmt/format.h>

#include "runtime/core/error.h"
#include "runtime/core/shared_library.h"

namespace strata::vulkan {
namespace {

constexpr const char* kInstallHint =
    "install the Vulkan loader and the driver of the GPU (Debian: libvulkan1 and "
    "mesa-vulkan-drivers)";

Error missing(const char* name) {
  return Error(ErrorCode::device_missing, "vulkan",
               fmt::format("the driver has no function {}", name), "update the GPU's driver");
}

template <class Function>
void require(Function*& slot, void (*found)(), const char* name) {
  slot = reinterpret_cast<Function*>(found);
  if (slot == nullptr) throw missing(name);
}

template <class Function>
void take(Function*& slot, void (*found)()) {
  slot = reinterpret_cast<Function*>(found);
}

}  // namespace

GlobalFunctions load_global(const std::string& library) {
  const SharedLibrary loader(library);
  if (!loader.loaded())
    throw Error(ErrorCode::device_missing, "vulkan", "no Vulkan loader: " + loader.why(),
                kInstallHint);
  GlobalFunctions global;
  global.vkGetInstanceProcAddr =
      reinterpret_cast<PFN_vkGetInstanceProcAddr>(loader.symbol("vkGetInstanceProcAddr"));
  if (global.vkGetInstanceProcAddr == nullptr)
    throw Error(ErrorCode::device_missing, "vulkan", library + " is not a Vulkan loader",
                kInstallHint);
#define STRATA_VULKAN_GLOBAL(name) \
  require(global.name, global.vkGetInstanceProcAddr(nullptr, #name), #name);
#include "backends/vulkan/functions.def"
  return global;
}

InstanceFunctions load_instance(const GlobalFunctions& global, VkInstance instance) {
  InstanceFunctions functions;
#define STRATA_VULKAN_INSTANCE(name) \
  require(functions.name, global.vkGetInstanceProcAddr(instance, #name), #name);
#define STRATA_VULKAN_INSTANCE_OPTIONAL(name) \
  take(functions.name, global.vkGetInstanceProcAddr(instance, #name));
#include "backends/vulkan/functions.def"
  return functions;
}

DeviceFunctions load_device(const InstanceFunctions& instance, VkDevice device) {
  DeviceFunctions functions;
#define STRATA_VULKAN_DEVICE(name) \
  require(functions.name, instance.vkGetDeviceProcAddr(device, #name), #name);
#define STRATA_VULKAN_DEVICE_OPTIONAL(name) \
  take(functions.name, instance.vkGetDeviceProcAddr(device, #name));
#include "backends/vulkan/functions.def"
  return functions;
}

std::string result_text(VkResult result) {
  const char* name = "an unknown result";
  switch (result) {
#define STRATA_RESULT(code) \
  case code:                \
    name = #code;           \
    break;
    STRATA_RESULT(VK_SUCCESS)
    STRATA_RESULT(VK_NOT_READY)
    STRATA_RESULT(VK_TIMEOUT)
    STRATA_RESULT(VK_INCOMPLETE)
    STRATA_RESULT(VK_ERROR_OUT_OF_HOST_MEMORY)
    STRATA_RESULT(VK_ERROR_OUT_OF_DEVICE_MEMORY)
    STRATA_RESULT(VK_ERROR_INITIALIZATION_FAILED)
    STRATA_RESULT(VK_ERROR_DEVICE_LOST)
    STRATA_RESULT(VK_ERROR_MEMORY_MAP_FAILED)
    STRATA_RESULT(VK_ERROR_LAYER_NOT_PRESENT)
    STRATA_RESULT(VK_ERROR_EXTENSION_NOT_PRESENT)
    STRATA_RESULT(VK_ERROR_FEATURE_NOT_PRESENT)
    STRATA_RESULT(VK_ERROR_INCOMPATIBLE_DRIVER)
    STRATA_RESULT(VK_ERROR_TOO_MANY_OBJECTS)
    STRATA_RESULT(VK_ERROR_INVALID_EXTERNAL_HANDLE)
#undef STRATA_RESULT
    default:
      break;
  }
  return fmt::format("{} ({})", name, static_cast<int>(result));
}

void check(VkResult result, const std::string& subject, const char* function) {
  if (result == VK_SUCCESS) return;
  const bool memory =
      result == VK_ERROR_OUT_OF_DEVICE_MEMORY || result == VK_ERROR_OUT_OF_HOST_MEMORY;
  throw Error(memory ? ErrorCode::out_of_memory : ErrorCode::runtime, subject,
              fmt::format("{} failed with {}", function, result_text(result)),
              result == VK_ERROR_DEVICE_LOST
                  ? "the driver has reset the GPU: its log (dmesg) says why; start again"
                  : "");
}

}  // namespace strata::vulkan
