#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <optional>
#include <string>

#include "backends/cpu/cpu_device.h"
#include "runtime/core/cpus.h"
#include "runtime/core/error.h"
#include "runtime/core/host_memory.h"
#include "runtime/ops/op_impl.h"

namespace strata::test {
namespace {

BufferSpan span_of(const Buffer& buffer) { return {buffer.data(), buffer.bytes(), buffer.kind()}; }

template <class Body>
std::optional<Error> error_of(const Body& body) {
  try {
    body();
  } catch (const Error& e) {
    return e;
  }
  return std::nullopt;
}

TEST(CpuDevice, DescribesItself) {
  cpu::CpuDevice device({3, "baseline"});
  const DeviceInfo& info = device.info();
  EXPECT_EQ(to_string(info.id), "cpu:0");
  EXPECT_FALSE(info.name.empty());
  EXPECT_EQ(info.arch, "baseline");
  EXPECT_EQ(info.compute_units, 3);
  EXPECT_EQ(info.lanes, 4);
  EXPECT_TRUE(info.unified);
  EXPECT_EQ(info.memory_bytes, device.memory().total);
  EXPECT_EQ(cpu::CpuDevice({0, nullptr}).info().compute_units, default_threads(allowed_cpus()));
}

TEST(CpuDevice, HasThreadsForOneTokenAndForSeveral) {
  const cpu::CpuDevice same({3, nullptr});
  EXPECT_EQ(same.threads(1), 3);
  EXPECT_EQ(same.threads(2), 3);
  for (const auto& [one, several] : {std::pair{1, 3}, std::pair{3, 1}}) {
    cpu::CpuDevice device({one, nullptr, several});
    EXPECT_EQ(device.info().compute_units, 3);
    EXPECT_EQ(device.threads(1), one);
    EXPECT_EQ(device.threads(2), several);
    const std::unique_ptr<Stream> stream = device.open_stream(StreamRole::compute);
    for (const std::int64_t tokens : {1, 2, 512, 1}) {
      std::atomic<int> shares{0};
      static_cast<cpu::CpuStream&>(*stream).run(tokens, [&](int, int) { ++shares; });
      EXPECT_EQ(shares.load(), device.threads(tokens));
    }
  }
}

TEST(CpuDevice, RefusesThreadCountsAndIsasThatAreNone) {
  for (int threads : {-1, 1025}) {
    EXPECT_TRUE(error_of([&] { cpu::CpuDevice device({1, nullptr, threads}); }).has_value());
    const auto error = error_of([&] { cpu::CpuDevice device({threads, nullptr}); });
    ASSERT_TRUE(error.has_value());
    EXPECT_EQ(error->code(), ErrorCode::usage);
    EXPECT_NE(error->detail().find(std::to_string(threads)), std::string::npos);
  }
  const auto error = error_of([] { cpu::CpuDevice device({1, "sse9"}); });
  ASSERT_TRUE(error.has_value());
  EXPECT_EQ(error->code(), ErrorCode::usage);
}

TEST(CpuDevice, AllocatesAlignedMemoryAndCountsIt) {
  cpu::CpuDevice device({1, nullptr});
  EXPECT_EQ(device.memory().ours, 0U);
  {
    const Buffer small = device.allocate(100, MemoryKind::host);
    const Buffer large = device.allocate(3 * kHugeBlockBytes, MemoryKind::device);
    Buffer empty = device.allocate(0, MemoryKind::device);
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(small.data()) % 64, 0U);
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(large.data()) % 64, 0U);
    EXPECT_EQ(small.kind(), MemoryKind::host);
    EXPECT_EQ(large.bytes(), 3 * kHugeBlockBytes);
    EXPECT_EQ(device.memory().ours, 100 + 3 * kHugeBlockBytes);
    empty = Buffer();
    EXPECT_EQ(empty.data(), nullptr);
  }
  EXPECT_EQ(device.memory().ours, 0U);
}

// Untouched pages cost nothing: half of all that is free can be had at once and given back.
TEST(CpuDevice, LargeBuffersAreNotTouched) {
  cpu::CpuDevice device({1, nullptr});
  const std::uint64_t before = device.memory().free;
  const Buffer half = device.allocate(before / 2, MemoryKind::device);
  EXPECT_GT(device.memory().free, before / 2 + before / 8);
}

TEST(CpuDevice, SaysWhatIsFreeWhenMemoryDoesNotSuffice) {
  cpu::CpuDevice device({1, nullptr});
  const std::uint64_t total = device.memory().total;
  for (std::uint64_t bytes : {total + 4096, std::uint64_t{1} << 60, ~std::uint64_t{0}}) {
    const auto error = error_of([&] { (void)device.allocate(bytes, MemoryKind::device); });
    ASSERT_TRUE(error.has_value()) << bytes;
    EXPECT_EQ(error->code(), ErrorCode::out_of_memory);
    EXPECT_EQ(error->subject(), "cpu:0");
    EXPECT_NE(error->detail().find("need " + std::to_string(bytes)), std::string::npos);
    EXPECT_NE(error->detail().find("free "), std::string::npos);
  }
  EXPECT_EQ(device.memory().ours, 0U);
}

// What has been promised but not yet touched is not promised twice.
TEST(CpuDevice, CountsUntouchedBuffersAgainstTheTotal) {
  cpu::CpuDevice device({1, nullptr});
  const MemoryUse use = device.memory();
  const std::size_t part = std::min(use.free / 10 * 9, use.total / 10 * 6);
  const Buffer first = device.allocate(part, MemoryKind::device);
  const auto error =
      error_of([&] { (void)device.allocate(use.total - part + 4096, MemoryKind::device); });
  ASSERT_TRUE(error.has_value());
  EXPECT_EQ(error->code(), ErrorCode::out_of_memory);
  EXPECT_EQ(device.memory().ours, part);
}

TEST(CpuDevice, ImportsHostMemoryWithoutOwningIt) {
  cpu::CpuDevice device({1, nullptr});
  const std::byte bytes[3] = {std::byte{1}, std::byte{2}, std::byte{3}};
  {
    const std::optional<Buffer> view = device.import_host(bytes);
    ASSERT_TRUE(view.has_value());
    EXPECT_EQ(view->data(), bytes);
    EXPECT_EQ(view->bytes(), 3U);
    EXPECT_EQ(device.memory().ours, 0U);
  }
  EXPECT_EQ(bytes[2], std::byte{3});
}

TEST(CpuStream, CopiesAndFillsBuffersOfAnySize) {
  cpu::CpuDevice device({3, nullptr});
  for (StreamRole role : {StreamRole::compute, StreamRole::upload, StreamRole::download}) {
    const std::unique_ptr<Stream> stream = device.open_stream(role);
    for (std::size_t bytes : {1UL, 4095UL, 1048575UL, 1048576UL, 5000001UL}) {
      const Buffer from = device.allocate(bytes, MemoryKind::host);
      const Buffer to = device.allocate(bytes + 1, MemoryKind::device);
      for (std::size_t i = 0; i < bytes; ++i)
        from.data()[i] = static_cast<std::byte>(i * 2654435761U >> 24);
      stream->fill(span_of(to), std::byte{0x5C});
      ASSERT_EQ(std::count(to.data(), to.data() + bytes + 1, std::byte{0x5C}),
                static_cast<std::ptrdiff_t>(bytes + 1));
      stream->copy(span_of(to), span_of(from));
      stream->synchronize();
      ASSERT_TRUE(std::equal(from.data(), from.data() + bytes, to.data()));
      ASSERT_EQ(to.data()[bytes], std::byte{0x5C}) << "a copy moves src.bytes bytes";
    }
  }
}

TEST(CpuStream, RunsHostTasksInOrderAndReachesEveryEvent) {
  cpu::CpuDevice device({1, nullptr});
  const std::unique_ptr<Stream> stream = device.open_stream(StreamRole::compute);
  int runs = 0;
  const Event before = stream->record();
  stream->host_task({[](void* context) { ++*static_cast<int*>(context); }, &runs});
  EXPECT_EQ(runs, 1);
  const Event after = stream->record();
  EXPECT_LT(before.ticket, after.ticket);
  EXPECT_TRUE(stream->reached(after.ticket));
  EXPECT_FALSE(stream->reached(after.ticket + 1));
  stream->wait(after);
  stream->flush();
  EXPECT_EQ(stream->native(), nullptr);
}

}  // namespace
}  // namespace strata::test
