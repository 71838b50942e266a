#include "backends/vulkan/commands.h"

#include <algorithm>
#include <utility>

#include "backends/vulkan/timeline.h"

namespace strata::vulkan {
namespace {

// Submissions that may be under way before the host waits.
constexpr std::size_t kMostBuffers = 64;
constexpr std::uint64_t kWord = 4;

VkCommandPool make_pool(const Context& context, const Queue& queue,
                        VkCommandPoolCreateFlags flags) {
  auto info = make<VkCommandPoolCreateInfo>(VK_STRUCTURE_TYPE_COMMAND_POOL_CREATE_INFO);
  info.flags = flags;
  info.queueFamilyIndex = queue.family;
  VkCommandPool pool = VK_NULL_HANDLE;
  context.check(context.functions().vkCreateCommandPool(context.handle(), &info, nullptr, &pool),
                "vkCreateCommandPool");
  return pool;
}

VkCommandBuffer make_buffer(const Context& context, VkCommandPool pool) {
  auto info = make<VkCommandBufferAllocateInfo>(VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO);
  info.commandPool = pool;
  info.level = VK_COMMAND_BUFFER_LEVEL_PRIMARY;
  info.commandBufferCount = 1;
  VkCommandBuffer buffer = VK_NULL_HANDLE;
  context.check(context.functions().vkAllocateCommandBuffers(context.handle(), &info, &buffer),
                "vkAllocateCommandBuffers");
  return buffer;
}

}  // namespace

void Commands::begin(VkCommandBuffer buffer, VkCommandBufferUsageFlags usage) {
  auto info = make<VkCommandBufferBeginInfo>(VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO);
  info.flags = usage;
  context_.check(context_.functions().vkBeginCommandBuffer(buffer, &info), "vkBeginCommandBuffer");
  buffer_ = buffer;
}

void Commands::end() {
  barrier(VK_PIPELINE_STAGE_HOST_BIT, VK_ACCESS_HOST_READ_BIT);
  const VkCommandBuffer buffer = std::exchange(buffer_, VK_NULL_HANDLE);
  context_.check(context_.functions().vkEndCommandBuffer(buffer), "vkEndCommandBuffer");
}

VkPipelineStageFlags Commands::stages() const {
  VkPipelineStageFlags stages = VK_PIPELINE_STAGE_TRANSFER_BIT;
  if (queue_.computes) stages |= VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT;
  return stages;
}

void Commands::barrier(VkPipelineStageFlags to, VkAccessFlags access) const {
  auto memory = make<VkMemoryBarrier>(VK_STRUCTURE_TYPE_MEMORY_BARRIER);
  memory.srcAccessMask = VK_ACCESS_MEMORY_WRITE_BIT;
  memory.dstAccessMask = access;
  context_.functions().vkCmdPipelineBarrier(buffer_, stages(), to, 0, 1, &memory, 0, nullptr, 0,
                                            nullptr);
}

void Commands::after_all() const {
  barrier(stages(), VK_ACCESS_MEMORY_READ_BIT | VK_ACCESS_MEMORY_WRITE_BIT);
}

void Commands::dispatch(VkPipelineLayout layout, VkPipeline pipeline, const void* push,
                        std::uint32_t push_bytes, std::uint32_t x, std::uint32_t y,
                        std::uint32_t z) {
  const DeviceFunctions& f = context_.functions();
  after_all();
  f.vkCmdBindPipeline(buffer_, VK_PIPELINE_BIND_POINT_COMPUTE, pipeline);
  f.vkCmdPushConstants(buffer_, layout, VK_SHADER_STAGE_COMPUTE_BIT, 0, push_bytes, push);
  f.vkCmdDispatch(buffer_, x, y, z);
}

void Commands::copy(const Place& to, const Place& from, std::uint64_t bytes) {
  after_all();
  const VkBufferCopy region{from.offset, to.offset, bytes};
  context_.functions().vkCmdCopyBuffer(buffer_, from.buffer, to.buffer, 1, &region);
}

void Commands::fill(const Place& at, std::uint64_t bytes, std::byte value, const Place& patterns) {
  const DeviceFunctions& f = context_.functions();
  after_all();
  // vkCmdFillBuffer writes whole words: up to three bytes before and behind them are copied.
  const std::uint64_t head = std::min(bytes, (kWord - at.offset % kWord) % kWord);
  const std::uint64_t words = (bytes - head) / kWord * kWord;
  const std::uint64_t tail = bytes - head - words;
  const auto byte = static_cast<std::uint32_t>(value);
  if (words != 0)
    f.vkCmdFillBuffer(buffer_, at.buffer, at.offset + head, words, byte * 0x01010101U);
  const VkDeviceSize pattern = patterns.offset + byte * kWord;
  for (const VkBufferCopy& part : {VkBufferCopy{pattern, at.offset, head},
                                   VkBufferCopy{pattern, at.offset + head + words, tail}})
    if (part.size != 0) f.vkCmdCopyBuffer(buffer_, patterns.buffer, at.buffer, 1, &part);
}

CommandRing::CommandRing(Context& context, const Queue& queue)
    : context_(context),
      pool_(make_pool(context, queue, VK_COMMAND_POOL_CREATE_RESET_COMMAND_BUFFER_BIT)) {}

CommandRing::~CommandRing() {
  context_.functions().vkDestroyCommandPool(context_.handle(), pool_, nullptr);
}

VkCommandBuffer CommandRing::take(const Timeline& timeline) {
  VkCommandBuffer buffer = VK_NULL_HANDLE;
  if (!idle_.empty() && (idle_.size() >= kMostBuffers || timeline.reached(idle_.front().ticket))) {
    timeline.wait(idle_.front().ticket);
    buffer = idle_.front().buffer;
    idle_.pop_front();
  } else {
    buffer = make_buffer(context_, pool_);
  }
  taken_.push_back(buffer);
  return buffer;
}

void CommandRing::submitted(std::uint64_t ticket) {
  for (VkCommandBuffer buffer : taken_) idle_.push_back({buffer, ticket});
  taken_.clear();
}

RecordedCommands::RecordedCommands(Context& context, const Queue& queue)
    : context_(context), pool_(make_pool(context, queue, 0)) {
  try {
    buffer_ = make_buffer(context, pool_);
  } catch (...) {
    context_.functions().vkDestroyCommandPool(context_.handle(), pool_, nullptr);
    throw;
  }
}

RecordedCommands::~RecordedCommands() {
  context_.functions().vkDestroyCommandPool(context_.handle(), pool_, nullptr);
}

}  // namespace strata::vulkan
