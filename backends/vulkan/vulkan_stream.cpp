#include "backends/vulkan/vulkan_stream.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <stdexcept>
#include <string>
#include <utility>

#include "backends/vulkan/commands.h"
#include "backends/vulkan/staging.h"
#include "backends/vulkan/timeline.h"
#include "backends/vulkan/vulkan_device.h"
#include "runtime/core/error.h"

namespace strata::vulkan {
namespace {

// Commands after which a batch is submitted, so that the device begins while the host still
// records.
constexpr int kBatchCommands = 256;
constexpr std::size_t kPatternBytes = 4 * 256;

}  // namespace

/// Members in the order of their making: the timeline waits for all work before the memory and the
/// command buffers go.
struct StreamState {
  StreamState(VulkanDevice& owner, StreamRole role)
      : device(owner),
        context(owner.context()),
        queue(context.queue(role)),
        ring(context, queue),
        staging(owner.memory_map()),
        commands(context, queue),
        timeline(context, queue) {}

  VulkanDevice& device;
  Context& context;
  Queue& queue;
  CommandRing ring;
  Staging staging;
  Buffer patterns;  // for fills of less than a word
  Buffer tickets;
  Commands commands;  // of the open command buffer, or of the recording
  std::vector<VkCommandBuffer> batch;
  std::vector<Dependency> after;
  int batch_commands = 0;
  std::unique_ptr<RecordedCommands> recording;
  Timeline timeline;

  /// Where the next command goes.
  Commands& next() {
    if (recording == nullptr && batch_commands >= kBatchCommands) flush();
    if (!commands.is_open())
      commands.begin(ring.take(timeline), VK_COMMAND_BUFFER_USAGE_ONE_TIME_SUBMIT_BIT);
    ++batch_commands;
    return commands;
  }

  void close() {
    if (!commands.is_open()) return;
    const VkCommandBuffer buffer = commands.buffer();
    commands.end();
    batch.push_back(buffer);
  }

  void flush() {
    if (recording != nullptr) return;
    close();
    if (batch.empty() && after.empty()) return;
    const std::uint64_t ticket = timeline.submit(batch, after);
    ring.submitted(ticket);
    batch.clear();
    after.clear();
    batch_commands = 0;
  }

  void finish() {
    flush();
    timeline.wait(timeline.last());
  }

  void refuse_recording(const char* what) const {
    if (recording != nullptr)
      throw std::logic_error(fmt::format("{}: {} cannot be recorded", context.name(), what));
  }

  /// Before the host's own memory is read or written now: whatever another task of the host may
  /// still do to it has been done.
  void await_host_work() {
    const bool open = std::any_of(after.begin(), after.end(), [](const Dependency& dependency) {
      return dependency.timeline == nullptr || !dependency.timeline->submitted(dependency.ticket);
    });
    if (open || timeline.has_host_work()) finish();
  }

  void upload(BufferSpan dst, BufferSpan src) {
    refuse_recording("a copy from memory that is not pinned");
    await_host_work();
    for (std::size_t at = 0; at < src.bytes;) {
      const std::span<std::byte> piece = staging.take(src.bytes - at, timeline);
      std::memcpy(piece.data(), src.data + at, piece.size());
      const MemoryMap& memory = device.memory_map();
      next().copy(memory.find(dst.data + at, piece.size(), dst.kind),
                  memory.find(piece.data(), piece.size(), MemoryKind::pinned), piece.size());
      if (staging.used_until(timeline.last() + 1)) flush();
      at += piece.size();
    }
  }

  void download(BufferSpan dst, BufferSpan src) {
    refuse_recording("a copy to memory that is not pinned");
    for (std::size_t at = 0; at < src.bytes;) {
      const std::span<std::byte> piece = staging.take(src.bytes - at, timeline);
      const MemoryMap& memory = device.memory_map();
      next().copy(memory.find(piece.data(), piece.size(), MemoryKind::pinned),
                  memory.find(src.data + at, piece.size(), src.kind), piece.size());
      finish();
      staging.used_until(timeline.last());
      std::memcpy(dst.data + at, piece.data(), piece.size());
      at += piece.size();
    }
  }

  Place pattern_place() {
    if (patterns.data() == nullptr) {
      patterns = device.memory_map().allocate_pinned(kPatternBytes);
      for (std::size_t i = 0; i < kPatternBytes; ++i) patterns.data()[i] = std::byte(i / 4);
    }
    return device.memory_map().find(patterns.data(), kPatternBytes, MemoryKind::pinned);
  }

  void throw_messages() const {
    const std::vector<std::string> messages = context.instance().take_messages();
    if (messages.empty()) return;
    throw Error(ErrorCode::runtime, context.name(),
                fmt::format("the validation layer has {} messages, first: {}", messages.size(),
                            messages.front()));
  }
};

VulkanStream::VulkanStream(VulkanDevice& device, StreamRole role)
    : state_(std::make_unique<StreamState>(device, role)) {
  if (role != StreamRole::compute) return;
  state_->tickets = device.allocate(kTickets * sizeof(std::uint32_t), MemoryKind::device);
  fill({state_->tickets.data(), state_->tickets.bytes(), MemoryKind::device}, std::byte{0});
}

VulkanStream::~VulkanStream() {
  try {
    if (state_->recording != nullptr) state_->commands.abandon();
    state_->recording.reset();
    state_->flush();
  } catch (...) {  // nobody is left who could be told
  }
}

void VulkanStream::copy(BufferSpan dst, BufferSpan src) {
  if (src.bytes == 0) return;
  const bool from_host = src.kind == MemoryKind::host;
  const bool to_host = dst.kind == MemoryKind::host;
  if ((from_host || to_host) && src.kind != MemoryKind::device && dst.kind != MemoryKind::device) {
    state_->refuse_recording("a copy from memory that is not pinned");
    state_->finish();
    std::memmove(dst.data, src.data, src.bytes);
  } else if (from_host) {
    state_->upload(dst, src);
  } else if (to_host) {
    state_->download(dst, src);
  } else {
    const MemoryMap& memory = state_->device.memory_map();
    const Place to = memory.find(dst.data, src.bytes, dst.kind);
    const Place from = memory.find(src.data, src.bytes, src.kind);
    state_->next().copy(to, from, src.bytes);
  }
}

void VulkanStream::fill(BufferSpan span, std::byte value) {
  if (span.bytes == 0) return;
  if (span.kind == MemoryKind::host) {
    state_->refuse_recording("a fill of memory that is not pinned");
    state_->finish();
    std::memset(span.data, static_cast<int>(value), span.bytes);
    return;
  }
  const Place at = state_->device.memory_map().find(span.data, span.bytes, span.kind);
  const Place patterns = state_->pattern_place();
  state_->next().fill(at, span.bytes, value, patterns);
}

void VulkanStream::host_task(HostTask task) {
  state_->refuse_recording("a task of the host");
  state_->flush();
  state_->timeline.host_task(task);
}

Event VulkanStream::record() {
  state_->flush();
  return {this, state_->timeline.last()};
}

void VulkanStream::wait(const Event& event) {
  state_->refuse_recording("waiting for an event");
  if (event.stream == this || event.stream == nullptr || event.stream->reached(event.ticket))
    return;
  // What was recorded so far need not wait.
  if (state_->commands.is_open() || !state_->batch.empty()) state_->flush();
  const auto* other = dynamic_cast<const VulkanStream*>(event.stream);
  state_->after.push_back({other != nullptr ? &other->state_->timeline : nullptr,
                           other != nullptr ? nullptr : event.stream, event.ticket});
}

bool VulkanStream::reached(std::uint64_t ticket) const { return state_->timeline.reached(ticket); }

void VulkanStream::await(std::uint64_t ticket) {
  state_->refuse_recording("waiting");
  state_->flush();
  state_->timeline.wait(ticket);
  state_->timeline.throw_error();
}

void VulkanStream::flush() { state_->flush(); }

void VulkanStream::synchronize() {
  state_->refuse_recording("synchronize()");
  state_->finish();
  state_->timeline.throw_error();
  state_->throw_messages();
}

void* VulkanStream::native() { return state_->queue.handle; }

void VulkanStream::begin_recording() {
  state_->refuse_recording("a recording");
  state_->flush();
  state_->recording = std::make_unique<RecordedCommands>(state_->context, state_->queue);
  state_->commands.begin(state_->recording->buffer(), VK_COMMAND_BUFFER_USAGE_SIMULTANEOUS_USE_BIT);
}

std::unique_ptr<Recording> VulkanStream::end_recording() {
  if (state_->recording == nullptr)
    throw std::logic_error(state_->context.name() + ": end_recording() without begin_recording()");
  std::unique_ptr<RecordedCommands> recorded = std::move(state_->recording);
  state_->batch_commands = 0;
  state_->commands.end();
  return recorded;
}

void VulkanStream::replay(const Recording& recording) {
  state_->refuse_recording("a replay");
  state_->close();
  state_->batch.push_back(static_cast<const RecordedCommands&>(recording).buffer());
}

void VulkanStream::dispatch(VkPipeline pipeline, const void* push, std::uint32_t push_bytes,
                            std::uint32_t x, std::uint32_t y, std::uint32_t z) {
  if (x == 0 || y == 0 || z == 0) return;
  if (!state_->queue.computes)
    throw std::logic_error(state_->context.name() + ": an op on a stream that only copies");
  state_->device.count_dispatch();
  state_->next().dispatch(state_->device.pipeline_layout(), pipeline, push, push_bytes, x, y, z);
}

VulkanDevice& VulkanStream::device() const { return state_->device; }

std::uint64_t VulkanStream::tickets() const {
  return reinterpret_cast<std::uint64_t>(state_->tickets.data());
}

}  // namespace strata::vulkan
