#pragma once

#include <cstdint>
#include <map>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

#include "backends/vulkan/context.h"

namespace strata::vulkan {

/// Every pipeline of a device, by shader, constants and subgroup size; what the driver compiled is
/// kept on disk between runs. Thread-safe.
class PipelineCache {
 public:
  explicit PipelineCache(Context& context);
  ~PipelineCache();
  PipelineCache(const PipelineCache&) = delete;
  PipelineCache& operator=(const PipelineCache&) = delete;

  /// See VulkanDevice::pipeline.
  VkPipeline get(std::string_view shader, std::span<const std::uint32_t> constants,
                 std::uint32_t subgroup_size);
  VkPipelineLayout layout() const { return layout_; }

 private:
  using Key = std::tuple<std::string, std::vector<std::uint32_t>, std::uint32_t>;
  VkPipeline create(const Key& key) const;
  void check_request(const Key& key) const;
  void keep_on_disk() const;

  Context& context_;
  VkPipelineLayout layout_ = VK_NULL_HANDLE;
  VkPipelineCache cache_ = VK_NULL_HANDLE;
  std::mutex mutex_;
  std::map<Key, VkPipeline> pipelines_;
  bool compiled_ = false;  ///< something that the file may not have
};

}  // namespace strata::vulkan
