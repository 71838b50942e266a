#include <gmock/gmock.h>

#include <algorithm>
#include <thread>

#include "tests/vulkan/on_vulkan.h"

namespace strata::vulkan {
namespace {

constexpr std::size_t kMiB = std::size_t{1} << 20;
constexpr std::size_t kSizes[] = {1,  2,    3,    4,        5,        63,           64,
                                  65, 4095, 4097, kMiB + 7, 4 * kMiB, 4 * kMiB + 1, 9 * kMiB + 13};
constexpr std::size_t kGuard = 16;

class VulkanCopy : public OnVulkan {
 protected:
  // The bytes [offset, offset + bytes) of `whole` replaced.
  static std::vector<std::byte> replaced(std::vector<std::byte> whole, std::size_t offset,
                                         const std::vector<std::byte>& bytes) {
    std::copy(bytes.begin(), bytes.end(), whole.begin() + static_cast<std::ptrdiff_t>(offset));
    return whole;
  }
};

// host -> device -> pinned -> device -> host, at every size and at odd offsets, touching nothing
// beside it.
TEST_F(VulkanCopy, AnySizeAndOffset) {
  auto stream = compute();
  for (const std::size_t bytes : kSizes) {
    for (const std::size_t offset : {std::size_t{0}, std::size_t{1}, std::size_t{7}}) {
      std::vector<std::byte> data = numbered(bytes, static_cast<unsigned>(bytes + offset));
      const std::size_t whole = bytes + offset + kGuard;
      const Buffer a = device_bytes(whole);
      const Buffer b = device_bytes(whole);
      const Buffer pinned = pinned_bytes(whole);
      for (const Buffer* buffer : {&a, &b, &pinned}) stream->fill(span(*buffer), std::byte{0xA5});
      stream->copy(span(a, offset, bytes), span(data));
      stream->copy(span(pinned, kGuard / 2, bytes), span(a, offset, bytes));
      stream->copy(span(b, offset, bytes), span(pinned, kGuard / 2, bytes));
      const std::vector<std::byte> got = bytes_of(*stream, span(b));
      ASSERT_EQ(got, replaced(std::vector(whole, std::byte{0xA5}), offset, data))
          << bytes << " bytes at " << offset;
      ASSERT_EQ(std::vector(pinned.data(), pinned.data() + whole),
                replaced(std::vector(whole, std::byte{0xA5}), kGuard / 2, data));
    }
  }
}

TEST_F(VulkanCopy, BetweenMemoriesOfTheHost) {
  auto stream = compute();
  std::vector<std::byte> data = numbered(1000);
  const Buffer pinned = pinned_bytes(1000);
  std::vector<std::byte> back(1000);
  stream->copy(span(pinned), span(data));
  stream->copy(span(back), span(pinned));
  EXPECT_EQ(back, data);
  stream->fill(span(back), std::byte{9});
  EXPECT_THAT(back, testing::Each(std::byte{9}));
}

TEST_F(VulkanCopy, FillsAnyRange) {
  auto stream = compute();
  const Buffer buffer = device_bytes(64);
  for (std::size_t offset = 0; offset < 8; ++offset) {
    for (std::size_t bytes = 0; bytes < 20; ++bytes) {
      stream->fill(span(buffer), std::byte{0x11});
      stream->fill(span(buffer, offset, bytes), std::byte{0xC7});
      ASSERT_EQ(bytes_of(*stream, span(buffer)),
                replaced(std::vector(std::size_t{64}, std::byte{0x11}), offset,
                         std::vector(bytes, std::byte{0xC7})))
          << bytes << " bytes at " << offset;
    }
  }
}

// The host's memory may change as soon as copy() returns, many copies later too.
TEST_F(VulkanCopy, TheSourceIsFreeAtOnce) {
  auto stream = compute();
  constexpr std::size_t kBytes = 300'000;
  constexpr std::size_t kCopies = 100;
  const Buffer buffer = device_bytes(kCopies * kBytes);
  std::vector<std::byte> data(kBytes);
  for (std::size_t i = 0; i < kCopies; ++i) {
    std::fill(data.begin(), data.end(), static_cast<std::byte>(i));
    stream->copy(span(buffer, i * kBytes, kBytes), span(data));
  }
  std::fill(data.begin(), data.end(), std::byte{0xFF});
  for (std::size_t i = 0; i < kCopies; ++i)
    EXPECT_THAT(bytes_of(*stream, span(buffer, i * kBytes + kBytes / 2, 2)),
                testing::Each(static_cast<std::byte>(i)));
}

TEST_F(VulkanCopy, StreamsOfSeveralThreads) {
  std::vector<std::thread> threads;
  std::vector<int> wrong(3);
  for (std::size_t t = 0; t < wrong.size(); ++t) {
    threads.emplace_back([&, t] {
      auto stream = device_->open_stream(static_cast<StreamRole>(t));
      for (unsigned i = 0; i < 40; ++i) {
        std::vector<std::byte> data = numbered(10'000 + i, i);
        const Buffer a = device_bytes(data.size());
        const Buffer b = device_bytes(data.size());
        stream->copy(span(a), span(data));
        stream->copy(span(b), span(a));
        if (bytes_of(*stream, span(b)) != data) ++wrong[t];
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_THAT(wrong, testing::Each(0));
}

}  // namespace
}  // namespace strata::vulkan
