#include "backends/vulkan/pipeline_cache.h"

#include <fmt/format.h>

#include <stdexcept>

#include "backends/vulkan/cache_file.h"
#include "backends/vulkan/shader_table.h"
#include "runtime/core/error.h"

namespace strata::vulkan {
namespace {

// What every device has.
constexpr std::uint32_t kPushBytes = 128;

const Shader* find_shader(std::string_view name) {
  for (const Shader& shader : shaders())
    if (shader.name == name) return &shader;
  return nullptr;
}

}  // namespace

bool has_shader(std::string_view name) { return find_shader(name) != nullptr; }

PipelineCache::PipelineCache(Context& context) : context_(context) {
  const DeviceFunctions& f = context_.functions();
  VkPushConstantRange range{VK_SHADER_STAGE_COMPUTE_BIT, 0, kPushBytes};
  auto layout = make<VkPipelineLayoutCreateInfo>(VK_STRUCTURE_TYPE_PIPELINE_LAYOUT_CREATE_INFO);
  layout.pushConstantRangeCount = 1;
  layout.pPushConstantRanges = &range;
  context_.check(f.vkCreatePipelineLayout(context_.handle(), &layout, nullptr, &layout_),
                 "vkCreatePipelineLayout");
  std::vector<std::byte> data;
  if (const auto path = cache_path(context_.physical()))
    data = read_cache(*path, context_.physical());
  auto info = make<VkPipelineCacheCreateInfo>(VK_STRUCTURE_TYPE_PIPELINE_CACHE_CREATE_INFO);
  info.initialDataSize = data.size();
  info.pInitialData = data.data();
  // Without a cache the driver compiles everything anew, which is no error.
  if (f.vkCreatePipelineCache(context_.handle(), &info, nullptr, &cache_) != VK_SUCCESS)
    cache_ = VK_NULL_HANDLE;
}

PipelineCache::~PipelineCache() {
  const DeviceFunctions& f = context_.functions();
  if (compiled_ && cache_ != VK_NULL_HANDLE) {
    try {
      keep_on_disk();
    } catch (...) {  // a cache that cannot be kept is no error
    }
  }
  for (const auto& [key, pipeline] : pipelines_)
    f.vkDestroyPipeline(context_.handle(), pipeline, nullptr);
  f.vkDestroyPipelineCache(context_.handle(), cache_, nullptr);
  f.vkDestroyPipelineLayout(context_.handle(), layout_, nullptr);
}

void PipelineCache::keep_on_disk() const {
  const auto path = cache_path(context_.physical());
  if (!path) return;
  const DeviceFunctions& f = context_.functions();
  std::size_t bytes = 0;
  if (f.vkGetPipelineCacheData(context_.handle(), cache_, &bytes, nullptr) != VK_SUCCESS) return;
  std::vector<std::byte> data(bytes);
  if (f.vkGetPipelineCacheData(context_.handle(), cache_, &bytes, data.data()) != VK_SUCCESS)
    return;
  data.resize(bytes);
  write_cache(*path, data);
}

VkPipeline PipelineCache::get(std::string_view shader, std::span<const std::uint32_t> constants,
                              std::uint32_t subgroup_size) {
  Key key{std::string(shader), {constants.begin(), constants.end()}, subgroup_size};
  const std::lock_guard lock(mutex_);
  auto at = pipelines_.find(key);
  if (at == pipelines_.end()) {
    check_request(key);
    const VkPipeline pipeline = create(key);
    at = pipelines_.emplace(std::move(key), pipeline).first;
    compiled_ = true;
  }
  return at->second;
}

void PipelineCache::check_request(const Key& key) const {
  const auto& [name, constants, subgroup_size] = key;
  const VulkanLimits& limits = context_.physical().limits;
  if (!has_shader(name))
    throw Error(ErrorCode::runtime, context_.name(),
                fmt::format("there is no shader \"{}\" in this build", name),
                "glslc may lack what it needs: see the table at the end of configure");
  if (!constants.empty() && (constants[0] == 0 || constants[0] > limits.max_invocations))
    throw std::logic_error(fmt::format("shader {}: a work group of {} is not within 1 .. {}", name,
                                       constants[0], limits.max_invocations));
  if (subgroup_size != 0 &&
      (subgroup_size < limits.min_subgroup_size || subgroup_size > limits.max_subgroup_size))
    throw std::logic_error(fmt::format("shader {}: a subgroup of {} is not within {} .. {}", name,
                                       subgroup_size, limits.min_subgroup_size,
                                       limits.max_subgroup_size));
}

VkPipeline PipelineCache::create(const Key& key) const {
  const auto& [name, constants, subgroup_size] = key;
  const DeviceFunctions& f = context_.functions();
  const std::span<const std::uint32_t> code = find_shader(name)->code;
  auto source = make<VkShaderModuleCreateInfo>(VK_STRUCTURE_TYPE_SHADER_MODULE_CREATE_INFO);
  source.codeSize = code.size_bytes();
  source.pCode = code.data();
  VkShaderModule module = VK_NULL_HANDLE;
  context_.check(f.vkCreateShaderModule(context_.handle(), &source, nullptr, &module),
                 "vkCreateShaderModule");
  std::vector<VkSpecializationMapEntry> entries;
  for (std::uint32_t id = 0; id < constants.size(); ++id)
    entries.push_back({id, id * 4, sizeof(std::uint32_t)});
  VkSpecializationInfo special{};
  special.mapEntryCount = static_cast<std::uint32_t>(entries.size());
  special.pMapEntries = entries.data();
  special.dataSize = constants.size() * sizeof(std::uint32_t);
  special.pData = constants.data();
  auto width = make<VkPipelineShaderStageRequiredSubgroupSizeCreateInfo>(
      VK_STRUCTURE_TYPE_PIPELINE_SHADER_STAGE_REQUIRED_SUBGROUP_SIZE_CREATE_INFO);
  width.requiredSubgroupSize = subgroup_size;
  auto info = make<VkComputePipelineCreateInfo>(VK_STRUCTURE_TYPE_COMPUTE_PIPELINE_CREATE_INFO);
  info.stage =
      make<VkPipelineShaderStageCreateInfo>(VK_STRUCTURE_TYPE_PIPELINE_SHADER_STAGE_CREATE_INFO);
  info.stage.stage = VK_SHADER_STAGE_COMPUTE_BIT;
  info.stage.module = module;
  info.stage.pName = "main";
  info.stage.pSpecializationInfo = &special;
  info.layout = layout_;
  const VulkanLimits& limits = context_.physical().limits;
  if (subgroup_size != 0 && limits.has_subgroup_control) {
    info.stage.pNext = &width;
    info.stage.flags = VK_PIPELINE_SHADER_STAGE_CREATE_REQUIRE_FULL_SUBGROUPS_BIT;
  }
  VkPipeline pipeline = VK_NULL_HANDLE;
  const VkResult result =
      f.vkCreateComputePipelines(context_.handle(), cache_, 1, &info, nullptr, &pipeline);
  f.vkDestroyShaderModule(context_.handle(), module, nullptr);
  context_.check(result, fmt::format("compiling shader {}", name).c_str());
  return pipeline;
}

}  // namespace strata::vulkan
