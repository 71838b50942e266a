#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <vector>

#include "backends/vulkan/context.h"
#include "backends/vulkan/memory_map.h"

namespace strata::vulkan {

class Timeline;

/// Writes commands into a command buffer. Each sees what all before it have written.
class Commands {
 public:
  Commands(const Context& context, const Queue& queue) : context_(context), queue_(queue) {}

  /// `usage` as of VkCommandBufferUsageFlagBits.
  void begin(VkCommandBuffer buffer, VkCommandBufferUsageFlags usage);
  /// Makes what was written visible to the host, and ends it.
  void end();
  /// Forgets the command buffer, which is never submitted.
  void abandon() { buffer_ = VK_NULL_HANDLE; }
  bool is_open() const { return buffer_ != VK_NULL_HANDLE; }
  VkCommandBuffer buffer() const { return buffer_; }

  void dispatch(VkPipelineLayout layout, VkPipeline pipeline, const void* push,
                std::uint32_t push_bytes, std::uint32_t x, std::uint32_t y, std::uint32_t z);
  void copy(const Place& to, const Place& from, std::uint64_t bytes);
  /// `patterns` holds, for each byte value in turn, four bytes of it.
  void fill(const Place& at, std::uint64_t bytes, std::byte value, const Place& patterns);

 private:
  void barrier(VkPipelineStageFlags to, VkAccessFlags access) const;
  void after_all() const;
  VkPipelineStageFlags stages() const;

  const Context& context_;
  const Queue& queue_;
  VkCommandBuffer buffer_ = VK_NULL_HANDLE;
};

/// Command buffers that are used again once their submission has been done.
class CommandRing {
 public:
  CommandRing(Context& context, const Queue& queue);
  ~CommandRing();
  CommandRing(const CommandRing&) = delete;
  CommandRing& operator=(const CommandRing&) = delete;

  /// One that nothing uses. Waits when many are under way.
  VkCommandBuffer take(const Timeline& timeline);
  /// All that were taken since the last call are done when `ticket` is reached.
  void submitted(std::uint64_t ticket);

 private:
  struct Slot {
    VkCommandBuffer buffer;
    std::uint64_t ticket;
  };
  Context& context_;
  VkCommandPool pool_ = VK_NULL_HANDLE;
  std::deque<Slot> idle_;  ///< in order of their tickets
  std::vector<VkCommandBuffer> taken_;
};

/// A pool with the one command buffer of a recording.
class RecordedCommands final : public Recording {
 public:
  RecordedCommands(Context& context, const Queue& queue);
  ~RecordedCommands() override;
  RecordedCommands(const RecordedCommands&) = delete;
  RecordedCommands& operator=(const RecordedCommands&) = delete;

  VkCommandBuffer buffer() const { return buffer_; }

 private:
  Context& context_;
  VkCommandPool pool_ = VK_NULL_HANDLE;
  VkCommandBuffer buffer_ = VK_NULL_HANDLE;
};

}  // namespace strata::vulkan
