#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

#include "backends/vulkan/api.h"
#include "backends/vulkan/limits.h"
#include "runtime/core/device.h"

namespace strata::vulkan {

class Context;        // context.h: the logical device, its functions and queues
class MemoryMap;      // memory_map.h: every allocation, found by address
class PipelineCache;  // pipeline_cache.h: pipelines by shader and constants

/// A GPU, or a CPU driver, behind Vulkan. A Buffer of MemoryKind::device and an imported one carry
/// a buffer device address; pinned and host Buffers carry a host pointer. Ops' operands are device
/// addresses.
class VulkanDevice final : public Device {
 public:
  explicit VulkanDevice(std::shared_ptr<Context> context);
  ~VulkanDevice() override;

  MemoryUse memory() const override;
  Buffer allocate(std::size_t bytes, MemoryKind kind) override;
  std::optional<Buffer> import_host(std::span<const std::byte> bytes) override;
  std::unique_ptr<Stream> open_stream(StreamRole role) override;
  const OpTable& ops() const override;

  const VulkanLimits& limits() const;

  /// The compute pipeline of shaders/<shader>.comp with specialisation constants 0, 1, ... set to
  /// `constants` (constant 0 is the work-group size). Made once, at plan time, and kept by the
  /// device. `subgroup_size` 0: the driver's choice; else within limits' min and max, and every
  /// subgroup is full. Push constants: 128 bytes; no descriptor sets. Throws Error{runtime}.
  VkPipeline pipeline(std::string_view shader, std::span<const std::uint32_t> constants,
                      std::uint32_t subgroup_size = 0);
  /// Of every pipeline.
  VkPipelineLayout pipeline_layout() const;

  /// Dispatches that its streams recorded so far; a replay records none.
  std::uint64_t dispatches() const { return dispatches_.load(std::memory_order_relaxed); }
  void count_dispatch() { dispatches_.fetch_add(1, std::memory_order_relaxed); }

  Context& context() const { return *context_; }
  MemoryMap& memory_map() const { return *memory_; }

 private:
  std::shared_ptr<Context> context_;
  std::unique_ptr<MemoryMap> memory_;
  std::unique_ptr<PipelineCache> pipelines_;
  std::atomic<std::uint64_t> dispatches_{0};
};

}  // namespace strata::vulkan
