#include "tests/vulkan_shaders/null_device.h"

#include <dlfcn.h>
#include <unistd.h>

#include <cstdlib>
#include <string_view>
#include <vector>

namespace strata::vulkan {
namespace {

// What tells the loader of RADV: Debian 12's, whose Mesa is 22.3, and Debian 13's.
constexpr const char* kOldDriver = "/usr/share/vulkan/icd.d/radeon_icd.x86_64.json";
constexpr const char* kDriver = "/usr/share/vulkan/icd.d/radeon_icd.json";

template <class Info>
Info made(VkStructureType type, void* next = nullptr) {
  Info info{};
  info.sType = type;
  info.pNext = next;
  return info;
}

}  // namespace

template <class Function>
Function NullDevice::function(const char* name) const {
  return reinterpret_cast<Function>(get_(instance_, name));
}

std::unique_ptr<NullDevice> NullDevice::open(const std::string& family, std::string& reason) {
  const bool old = access(kOldDriver, R_OK) == 0;
  setenv("VK_ICD_FILENAMES", old ? kOldDriver : kDriver, 1);
  setenv("VK_DRIVER_FILES", old ? kOldDriver : kDriver, 1);
  // RADV ends the program at a name that it does not know.
  setenv("RADV_FORCE_FAMILY", old && family == "navi31" ? "gfx1100" : family.c_str(), 1);
  setenv("RADV_DEBUG", "nocache", 1);
  std::unique_ptr<NullDevice> device(new NullDevice);
  if (!device->create(reason)) return nullptr;
  return device;
}

NullDevice::~NullDevice() {
  if (device_ != nullptr) {
    function<PFN_vkDestroyPipelineLayout>("vkDestroyPipelineLayout")(device_, layout_, nullptr);
    function<PFN_vkDestroyDevice>("vkDestroyDevice")(device_, nullptr);
  }
  if (instance_ != nullptr)
    function<PFN_vkDestroyInstance>("vkDestroyInstance")(instance_, nullptr);
  if (loader_ != nullptr) dlclose(loader_);
}

bool NullDevice::create(std::string& reason) {
  loader_ = dlopen("libvulkan.so.1", RTLD_NOW | RTLD_LOCAL);
  // The driver keeps some memory: it stays loaded, so that leak reports know it by its name.
  dlopen("libvulkan_radeon.so", RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
  if (loader_ == nullptr) return reason = "no libvulkan.so.1", false;
  get_ = reinterpret_cast<PFN_vkGetInstanceProcAddr>(dlsym(loader_, "vkGetInstanceProcAddr"));
  auto app = made<VkApplicationInfo>(VK_STRUCTURE_TYPE_APPLICATION_INFO);
  app.apiVersion = VK_API_VERSION_1_2;
  auto instance = made<VkInstanceCreateInfo>(VK_STRUCTURE_TYPE_INSTANCE_CREATE_INFO);
  instance.pApplicationInfo = &app;
  const auto make_instance = function<PFN_vkCreateInstance>("vkCreateInstance");
  if (make_instance(&instance, nullptr, &instance_) != VK_SUCCESS)
    return reason = "no RADV (Debian: mesa-vulkan-drivers)", false;
  std::uint32_t count = 1;
  VkPhysicalDevice physical{};
  function<PFN_vkEnumeratePhysicalDevices>("vkEnumeratePhysicalDevices")(instance_, &count,
                                                                         &physical);
  if (count == 0) return reason = "this RADV has no device without a GPU", false;
  if (!create_device(physical))
    return reason = "this RADV lacks integer dot products or pipeline statistics", false;
  const VkPushConstantRange push{VK_SHADER_STAGE_COMPUTE_BIT, 0, 128};
  auto layout = made<VkPipelineLayoutCreateInfo>(VK_STRUCTURE_TYPE_PIPELINE_LAYOUT_CREATE_INFO);
  layout.pushConstantRangeCount = 1;
  layout.pPushConstantRanges = &push;
  return function<PFN_vkCreatePipelineLayout>("vkCreatePipelineLayout")(device_, &layout, nullptr,
                                                                        &layout_) == VK_SUCCESS;
}

bool NullDevice::create_device(VkPhysicalDevice physical) {
  std::uint32_t count = 0;
  const auto enumerate =
      function<PFN_vkEnumerateDeviceExtensionProperties>("vkEnumerateDeviceExtensionProperties");
  enumerate(physical, nullptr, &count, nullptr);
  std::vector<VkExtensionProperties> offered(count);
  enumerate(physical, nullptr, &count, offered.data());
  for (const VkExtensionProperties& extension : offered)
    has_coopmat_ = has_coopmat_ || std::string_view(extension.extensionName) ==
                                       VK_KHR_COOPERATIVE_MATRIX_EXTENSION_NAME;
  VkPhysicalDeviceCooperativeMatrixFeaturesKHR matrices{
      VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_COOPERATIVE_MATRIX_FEATURES_KHR, nullptr, VK_TRUE,
      VK_FALSE};
  VkPhysicalDeviceSubgroupSizeControlFeatures sizes{
      VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SUBGROUP_SIZE_CONTROL_FEATURES,
      has_coopmat_ ? &matrices : nullptr, VK_TRUE, VK_TRUE};
  auto features = made<VkPhysicalDeviceVulkan12Features>(
      VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_2_FEATURES, &sizes);
  features.bufferDeviceAddress = VK_TRUE;
  features.vulkanMemoryModel = VK_TRUE;
  features.shaderFloat16 = VK_TRUE;
  VkPhysicalDeviceShaderIntegerDotProductFeatures dot{
      VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SHADER_INTEGER_DOT_PRODUCT_FEATURES, &features, VK_TRUE};
  VkPhysicalDevicePipelineExecutablePropertiesFeaturesKHR executables{
      VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PIPELINE_EXECUTABLE_PROPERTIES_FEATURES_KHR, &dot, VK_TRUE};
  const float priority = 1;
  auto queue = made<VkDeviceQueueCreateInfo>(VK_STRUCTURE_TYPE_DEVICE_QUEUE_CREATE_INFO);
  queue.queueCount = 1;
  queue.pQueuePriorities = &priority;
  const char* extensions[] = {VK_KHR_SHADER_INTEGER_DOT_PRODUCT_EXTENSION_NAME,
                              VK_KHR_PIPELINE_EXECUTABLE_PROPERTIES_EXTENSION_NAME,
                              VK_EXT_SUBGROUP_SIZE_CONTROL_EXTENSION_NAME,
                              VK_KHR_COOPERATIVE_MATRIX_EXTENSION_NAME};
  auto info = made<VkDeviceCreateInfo>(VK_STRUCTURE_TYPE_DEVICE_CREATE_INFO, &executables);
  info.queueCreateInfoCount = 1;
  info.pQueueCreateInfos = &queue;
  info.enabledExtensionCount = has_coopmat_ ? 4 : 3;
  info.ppEnabledExtensionNames = extensions;
  return function<PFN_vkCreateDevice>("vkCreateDevice")(physical, &info, nullptr, &device_) ==
         VK_SUCCESS;
}

std::map<std::string, std::uint64_t> NullDevice::statistics(
    std::span<const std::uint32_t> code, std::span<const std::uint32_t> constants,
    std::uint32_t subgroup) {
  auto source = made<VkShaderModuleCreateInfo>(VK_STRUCTURE_TYPE_SHADER_MODULE_CREATE_INFO);
  source.codeSize = code.size_bytes();
  source.pCode = code.data();
  VkShaderModule module{};
  if (function<PFN_vkCreateShaderModule>("vkCreateShaderModule")(device_, &source, nullptr,
                                                                 &module) != VK_SUCCESS)
    return {};
  std::vector<VkSpecializationMapEntry> entries;
  for (std::uint32_t i = 0; i < constants.size(); ++i) entries.push_back({i, 4 * i, 4});
  const VkSpecializationInfo values{static_cast<std::uint32_t>(entries.size()), entries.data(),
                                    constants.size_bytes(), constants.data()};
  auto info = made<VkComputePipelineCreateInfo>(VK_STRUCTURE_TYPE_COMPUTE_PIPELINE_CREATE_INFO);
  info.flags = VK_PIPELINE_CREATE_CAPTURE_STATISTICS_BIT_KHR;
  info.stage.sType = VK_STRUCTURE_TYPE_PIPELINE_SHADER_STAGE_CREATE_INFO;
  info.stage.stage = VK_SHADER_STAGE_COMPUTE_BIT;
  info.stage.module = module;
  info.stage.pName = "main";
  info.stage.pSpecializationInfo = &values;
  info.layout = layout_;
  auto width = made<VkPipelineShaderStageRequiredSubgroupSizeCreateInfo>(
      VK_STRUCTURE_TYPE_PIPELINE_SHADER_STAGE_REQUIRED_SUBGROUP_SIZE_CREATE_INFO);
  width.requiredSubgroupSize = subgroup;
  if (subgroup != 0) {
    info.stage.pNext = &width;
    info.stage.flags = VK_PIPELINE_SHADER_STAGE_CREATE_REQUIRE_FULL_SUBGROUPS_BIT;
  }
  VkPipeline pipeline{};
  const VkResult made = function<PFN_vkCreateComputePipelines>("vkCreateComputePipelines")(
      device_, nullptr, 1, &info, nullptr, &pipeline);
  function<PFN_vkDestroyShaderModule>("vkDestroyShaderModule")(device_, module, nullptr);
  if (made != VK_SUCCESS) return {};
  auto found = read(pipeline);
  function<PFN_vkDestroyPipeline>("vkDestroyPipeline")(device_, pipeline, nullptr);
  return found;
}

std::map<std::string, std::uint64_t> NullDevice::read(VkPipeline pipeline) {
  const VkPipelineExecutableInfoKHR which{VK_STRUCTURE_TYPE_PIPELINE_EXECUTABLE_INFO_KHR, nullptr,
                                          pipeline, 0};
  const auto get =
      function<PFN_vkGetPipelineExecutableStatisticsKHR>("vkGetPipelineExecutableStatisticsKHR");
  std::uint32_t count = 0;
  get(device_, &which, &count, nullptr);
  std::vector<VkPipelineExecutableStatisticKHR> all(
      count, {VK_STRUCTURE_TYPE_PIPELINE_EXECUTABLE_STATISTIC_KHR, nullptr, {}, {}, {}, {}});
  get(device_, &which, &count, all.data());
  std::map<std::string, std::uint64_t> found;
  for (const VkPipelineExecutableStatisticKHR& s : all) found[s.name] = s.value.u64;
  return found;
}

}  // namespace strata::vulkan
