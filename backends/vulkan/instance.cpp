#include "backends/vulkan/instance.h"

#include <fmt/format.h>

#include <cstdlib>
#include <cstring>
#include <utility>

#include "runtime/core/error.h"

namespace strata::vulkan {
namespace {

constexpr const char* kValidationLayer = "VK_LAYER_KHRONOS_validation";

Error missing(std::string detail, std::string hint) {
  return Error(ErrorCode::device_missing, "vulkan", std::move(detail), std::move(hint));
}

bool has_layer(const GlobalFunctions& global, const char* name) {
  std::uint32_t count = 0;
  global.vkEnumerateInstanceLayerProperties(&count, nullptr);
  std::vector<VkLayerProperties> layers(count);
  global.vkEnumerateInstanceLayerProperties(&count, layers.data());
  for (const VkLayerProperties& layer : layers)
    if (std::strcmp(layer.layerName, name) == 0) return true;
  return false;
}

VKAPI_ATTR VkBool32 VKAPI_CALL keep_message(VkDebugUtilsMessageSeverityFlagBitsEXT,
                                            VkDebugUtilsMessageTypeFlagsEXT,
                                            const VkDebugUtilsMessengerCallbackDataEXT* data,
                                            void* instance) {
  static_cast<Instance*>(instance)->add_message(data->pMessage);
  return VK_FALSE;
}

}  // namespace

Instance::Instance(const InstanceOptions& options) : global_(load_global(options.library)) {
  std::uint32_t offered = 0;
  global_.vkEnumerateInstanceVersion(&offered);
  if (offered < VK_API_VERSION_1_2)
    throw missing(fmt::format("the loader knows Vulkan {}.{}, 1.2 is needed",
                              VK_API_VERSION_MAJOR(offered), VK_API_VERSION_MINOR(offered)),
                  "update the Vulkan loader");
  version_ = offered < VK_API_VERSION_1_3 ? VK_API_VERSION_1_2 : VK_API_VERSION_1_3;
  if (options.validation && !has_layer(global_, kValidationLayer))
    throw missing(
        fmt::format("STRATA_VULKAN_VALIDATION is set and {} is not there", kValidationLayer),
        "install it (Debian: vulkan-validationlayers), or unset the variable");
  create(options.validation);
  try {
    functions_ = load_instance(global_, handle_);
    if (options.validation) open_messenger();
  } catch (...) {
    const auto destroy = reinterpret_cast<PFN_vkDestroyInstance>(
        global_.vkGetInstanceProcAddr(handle_, "vkDestroyInstance"));
    if (destroy != nullptr) destroy(handle_, nullptr);
    throw;
  }
}

Instance::~Instance() {
  if (messenger_ != VK_NULL_HANDLE)
    functions_.vkDestroyDebugUtilsMessengerEXT(handle_, messenger_, nullptr);
  functions_.vkDestroyInstance(handle_, nullptr);
}

void Instance::create(bool validation) {
  auto application = make<VkApplicationInfo>(VK_STRUCTURE_TYPE_APPLICATION_INFO);
  application.pApplicationName = "strata";
  application.pEngineName = "strata";
  application.apiVersion = version_;
  const VkValidationFeatureEnableEXT synchronisation =
      VK_VALIDATION_FEATURE_ENABLE_SYNCHRONIZATION_VALIDATION_EXT;
  auto features = make<VkValidationFeaturesEXT>(VK_STRUCTURE_TYPE_VALIDATION_FEATURES_EXT);
  features.enabledValidationFeatureCount = 1;
  features.pEnabledValidationFeatures = &synchronisation;
  const char* messages = VK_EXT_DEBUG_UTILS_EXTENSION_NAME;
  auto info = make<VkInstanceCreateInfo>(VK_STRUCTURE_TYPE_INSTANCE_CREATE_INFO);
  info.pApplicationInfo = &application;
  if (validation) {
    info.pNext = &features;
    info.enabledLayerCount = 1;
    info.ppEnabledLayerNames = &kValidationLayer;
    info.enabledExtensionCount = 1;
    info.ppEnabledExtensionNames = &messages;
  }
  const VkResult result = global_.vkCreateInstance(&info, nullptr, &handle_);
  if (result == VK_ERROR_INCOMPATIBLE_DRIVER)
    throw missing("no Vulkan driver is installed (VK_ERROR_INCOMPATIBLE_DRIVER)",
                  "install the GPU's driver (Debian: mesa-vulkan-drivers, or the vendor's); "
                  "VK_DRIVER_FILES or VK_ICD_FILENAMES must name it where it lies elsewhere");
  if (result != VK_SUCCESS)
    throw missing("vkCreateInstance failed with " + result_text(result),
                  "vulkaninfo shows whether the driver works");
}

void Instance::open_messenger() {
  if (functions_.vkCreateDebugUtilsMessengerEXT == nullptr ||
      functions_.vkDestroyDebugUtilsMessengerEXT == nullptr)
    throw missing("the validation layer has no VK_EXT_debug_utils", "update the layer");
  auto info = make<VkDebugUtilsMessengerCreateInfoEXT>(
      VK_STRUCTURE_TYPE_DEBUG_UTILS_MESSENGER_CREATE_INFO_EXT);
  info.messageSeverity = VK_DEBUG_UTILS_MESSAGE_SEVERITY_WARNING_BIT_EXT |
                         VK_DEBUG_UTILS_MESSAGE_SEVERITY_ERROR_BIT_EXT;
  info.messageType = VK_DEBUG_UTILS_MESSAGE_TYPE_VALIDATION_BIT_EXT |
                     VK_DEBUG_UTILS_MESSAGE_TYPE_PERFORMANCE_BIT_EXT;
  info.pfnUserCallback = keep_message;
  info.pUserData = this;
  check(functions_.vkCreateDebugUtilsMessengerEXT(handle_, &info, nullptr, &messenger_), "vulkan",
        "vkCreateDebugUtilsMessengerEXT");
}

std::vector<VkPhysicalDevice> Instance::physical_devices() const {
  std::uint32_t count = 0;
  VkResult result = functions_.vkEnumeratePhysicalDevices(handle_, &count, nullptr);
  std::vector<VkPhysicalDevice> devices(count);
  if (result == VK_SUCCESS)
    result = functions_.vkEnumeratePhysicalDevices(handle_, &count, devices.data());
  if (result < VK_SUCCESS)
    throw missing("vkEnumeratePhysicalDevices failed with " + result_text(result),
                  "vulkaninfo shows whether the driver works");
  devices.resize(count);
  return devices;
}

std::vector<std::string> Instance::take_messages() {
  const std::lock_guard lock(mutex_);
  return std::exchange(messages_, {});
}

void Instance::add_message(std::string text) {
  const std::lock_guard lock(mutex_);
  messages_.push_back(std::move(text));
}

std::shared_ptr<Instance> shared_instance() {
  static std::mutex mutex;
  // Never destroyed: the loader would unload the drivers with it, which some do not survive.
  static auto* const kept = new std::shared_ptr<Instance>;
  const std::lock_guard lock(mutex);
  if (*kept == nullptr) {
    InstanceOptions options;
    const char* validation = std::getenv("STRATA_VULKAN_VALIDATION");
    options.validation = validation != nullptr && std::strcmp(validation, "1") == 0;
    *kept = std::make_shared<Instance>(options);
  }
  return *kept;
}

}  // namespace strata::vulkan
