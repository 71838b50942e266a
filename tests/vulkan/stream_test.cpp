#include <gmock/gmock.h>

#include <atomic>
#include <chrono>
#include <future>
#include <stdexcept>

#include "runtime/core/error.h"
#include "tests/vulkan/on_vulkan.h"

namespace strata::vulkan {
namespace {

using testing::Each;
using testing::HasSubstr;

class VulkanStreams : public OnVulkan {};

TEST_F(VulkanStreams, TicketsAreReachedInOrder) {
  auto stream = compute();
  const Buffer buffer = device_bytes(256);
  EXPECT_TRUE(stream->reached(0));
  stream->fill(span(buffer), std::byte{1});
  const Event first = stream->record();
  stream->fill(span(buffer), std::byte{2});
  const Event second = stream->record();
  EXPECT_EQ(first.stream, stream.get());
  EXPECT_LT(first.ticket, second.ticket);
  EXPECT_EQ(stream->record().ticket, second.ticket) << "nothing was enqueued in between";
  stream->synchronize();
  EXPECT_TRUE(stream->reached(first.ticket) && stream->reached(second.ticket));
  EXPECT_NE(stream->native(), nullptr);
}

// Two streams pass a buffer to and fro; each adds a byte behind what the other wrote.
TEST_F(VulkanStreams, EventsOrderStreams) {
  auto a = device_->open_stream(StreamRole::compute);
  auto b = device_->open_stream(StreamRole::upload);
  const Buffer buffer = device_bytes(101);
  a->fill(span(buffer, 0, 1), std::byte{42});
  for (std::size_t i = 0; i < 50; ++i) {
    b->wait(a->record());
    b->copy(span(buffer, 2 * i + 1, 1), span(buffer, 2 * i, 1));
    a->wait(b->record());
    a->copy(span(buffer, 2 * i + 2, 1), span(buffer, 2 * i + 1, 1));
  }
  EXPECT_THAT(bytes_of(*a, span(buffer)), Each(std::byte{42}));
}

struct Recipe {
  const std::byte* from;
  std::byte* to;
  std::size_t bytes;
};
void follow(void* context) {
  const auto& recipe = *static_cast<Recipe*>(context);
  for (std::size_t i = 0; i < recipe.bytes; ++i)
    recipe.to[i] = static_cast<std::byte>(static_cast<unsigned>(recipe.from[i]) + 1U);
}

// The task sees what was copied before it, and what comes after it sees what the task wrote; in
// pinned memory as in the host's own.
TEST_F(VulkanStreams, HostTasksRunInOrder) {
  auto stream = compute();
  const Buffer device = device_bytes(100);
  const Buffer in = pinned_bytes(100);
  const Buffer out = pinned_bytes(100);
  std::vector<std::byte> plain(100);
  Recipe first{in.data(), out.data(), 100};
  Recipe second{out.data(), plain.data(), 100};
  for (unsigned round = 0; round < 20; ++round) {
    stream->fill(span(device), static_cast<std::byte>(round));
    stream->copy(span(in), span(device));
    stream->host_task({follow, &first});
    stream->copy(span(device), span(out));
    stream->host_task({follow, &second});
    stream->copy(span(device), span(plain));
    EXPECT_THAT(bytes_of(*stream, span(device)), Each(static_cast<std::byte>(round + 2)));
  }
}

// A task that takes its time holds up its own stream and who waits for it, and nobody else, though
// all of them may share one queue.
TEST_F(VulkanStreams, AHostTaskHoldsUpNobodyElse) {
  auto slow = device_->open_stream(StreamRole::compute);
  auto after = device_->open_stream(StreamRole::compute);
  auto free = device_->open_stream(StreamRole::compute);
  const Buffer buffer = device_bytes(64);
  std::promise<void> gate;
  auto opened = gate.get_future();
  slow->host_task({[](void* future) { static_cast<std::future<void>*>(future)->wait(); }, &opened});
  slow->fill(span(buffer, 0, 32), std::byte{1});
  const Event event = slow->record();
  after->wait(event);
  after->copy(span(buffer, 32, 32), span(buffer, 0, 32));
  const Event last = after->record();
  const Buffer other = device_bytes(64);
  free->fill(span(other), std::byte{3});
  EXPECT_THAT(bytes_of(*free, span(other)), Each(std::byte{3}));
  EXPECT_FALSE(slow->reached(event.ticket));
  EXPECT_FALSE(after->reached(last.ticket));
  gate.set_value();
  EXPECT_THAT(bytes_of(*after, span(buffer)), Each(std::byte{1}));
}

// Another backend's stream, whose ticket is reached at last.
class LateStream final : public Stream {
 public:
  void copy(BufferSpan, BufferSpan) override {}
  void fill(BufferSpan, std::byte) override {}
  void host_task(HostTask) override {}
  Event record() override { return {this, 1}; }
  void wait(const Event&) override {}
  bool reached(std::uint64_t) const override { return done; }
  void flush() override {}
  void synchronize() override {}
  void* native() override { return nullptr; }
  std::atomic<bool> done = false;
};

TEST_F(VulkanStreams, EventsOfOtherBackendsAreAwaited) {
  auto stream = compute();
  LateStream late;
  const Buffer buffer = pinned_bytes(64);
  stream->fill(span(buffer), std::byte{1});
  stream->synchronize();
  stream->wait(late.record());
  stream->fill(span(buffer), std::byte{2});
  const Event event = stream->record();
  std::this_thread::sleep_for(std::chrono::milliseconds(5));
  EXPECT_FALSE(stream->reached(event.ticket));
  EXPECT_EQ(buffer.data()[0], std::byte{1});
  late.done = true;
  stream->synchronize();
  EXPECT_EQ(buffer.data()[0], std::byte{2});
}

TEST_F(VulkanStreams, ATasksErrorIsThrownBySynchronize) {
  auto stream = compute();
  const Buffer buffer = device_bytes(64);
  stream->host_task({[](void*) { throw std::runtime_error("first"); }, nullptr});
  stream->host_task({[](void*) { throw std::runtime_error("second"); }, nullptr});
  stream->fill(span(buffer), std::byte{5});
  try {
    stream->synchronize();
    FAIL() << "the task's error was lost";
  } catch (const std::runtime_error& error) {
    EXPECT_STREQ(error.what(), "first");
  }
  EXPECT_THAT(bytes_of(*stream, span(buffer)), Each(std::byte{5}));
}

VKAPI_ATTR VkResult VKAPI_CALL lost_submit(VkQueue, std::uint32_t, const VkSubmitInfo*, VkFence) {
  return VK_ERROR_DEVICE_LOST;
}

TEST_F(VulkanStreams, ALostDeviceIsATypedErrorAndDestructorsGoOn) {
  DeviceFunctions& functions = device_->context().mutable_functions();
  const DeviceFunctions real = functions;
  const Buffer buffer = device_bytes(64);
  auto waiting = device_->open_stream(StreamRole::download);
  auto stream = compute();
  stream->fill(span(buffer), std::byte{1});
  stream->synchronize();
  functions.vkQueueSubmit = lost_submit;
  stream->fill(span(buffer), std::byte{2});
  const Event event = stream->record();
  EXPECT_NO_THROW(stream->flush());
  functions = real;
  waiting->wait(event);
  waiting->synchronize();  // the other stream's error is not this one's
  try {
    stream->synchronize();
    FAIL() << "the error was lost";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::runtime);
    EXPECT_EQ(error.subject(), "vulkan:0");
    EXPECT_THAT(error.detail(), HasSubstr("VK_ERROR_DEVICE_LOST"));
  }
  functions.vkQueueSubmit = lost_submit;
  stream->fill(span(buffer), std::byte{3});
  stream.reset();
  waiting.reset();
  functions = real;
}

TEST_F(VulkanStreams, WorkThatWasNotAwaitedIsDoneBeforeTheStreamGoes) {
  const Buffer buffer = pinned_bytes(64);
  {
    auto stream = compute();
    stream->fill(span(buffer), std::byte{7});
  }
  EXPECT_EQ(buffer.data()[63], std::byte{7});
}

}  // namespace
}  // namespace strata::vulkan
