#include "backends/vulkan/vulkan_device.h"

#include <fmt/format.h>

#include "backends/vulkan/context.h"
#include "backends/vulkan/memory_map.h"
#include "backends/vulkan/op_table.h"
#include "backends/vulkan/pipeline_cache.h"
#include "backends/vulkan/vulkan_stream.h"
#include "runtime/core/error.h"
#include "runtime/core/host_memory.h"

namespace strata::vulkan {

VulkanDevice::VulkanDevice(std::shared_ptr<Context> context)
    : context_(std::move(context)),
      memory_(std::make_unique<MemoryMap>(*context_)),
      pipelines_(std::make_unique<PipelineCache>(*context_)) {
  info_ = context_->physical().info;
}

VulkanDevice::~VulkanDevice() = default;

MemoryUse VulkanDevice::memory() const { return memory_->use(); }

Buffer VulkanDevice::allocate(std::size_t bytes, MemoryKind kind) {
  switch (kind) {
    case MemoryKind::device:
      return memory_->allocate_device(bytes);
    case MemoryKind::pinned:
      return memory_->allocate_pinned(bytes);
    case MemoryKind::host:
      break;
  }
  std::byte* data = allocate_host(bytes);
  if (data == nullptr) {
    const HostMemory host = read_host_memory();
    throw Error(
        ErrorCode::out_of_memory, to_string(info_.id),
        fmt::format("need {} bytes of host memory, free {} of {}", bytes, host.free, host.total),
        "use a smaller context or model, or free memory");
  }
  return {data, bytes, MemoryKind::host,
          [](void*, std::byte* at, std::size_t size) { free_host(at, size); }, nullptr};
}

std::optional<Buffer> VulkanDevice::import_host(std::span<const std::byte> bytes) {
  return memory_->import_host(bytes);
}

std::unique_ptr<Stream> VulkanDevice::open_stream(StreamRole role) {
  return std::make_unique<VulkanStream>(*this, role);
}

const OpTable& VulkanDevice::ops() const { return op_table(); }

const VulkanLimits& VulkanDevice::limits() const { return context_->physical().limits; }

VkPipeline VulkanDevice::pipeline(std::string_view shader, std::span<const std::uint32_t> constants,
                                  std::uint32_t subgroup_size) {
  return pipelines_->get(shader, constants, subgroup_size);
}

VkPipelineLayout VulkanDevice::pipeline_layout() const { return pipelines_->layout(); }

}  // namespace strata::vulkan
