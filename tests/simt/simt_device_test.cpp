// The Device of CUDA and HIP, on simt-host: memory, copies, and what goes wrong.
#include "backends/simt/simt_device.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <numeric>
#include <vector>

#include "backends/simt/simt_stream.h"
#include "tests/simt/simt_run.h"

namespace strata::simt_host {
namespace {

using testing::HasSubstr;

void increment(int* value) {
  if (thread_x() == 0) ++*value;
}

TEST(SimtDevice, SaysWhatItIs) {
  for (const int lanes : {32, 64}) {
    const auto device = open_simt_host(lanes, 1);
    EXPECT_EQ(device->info().lanes, lanes);
    EXPECT_EQ(simt_device(*device).limits().lanes, lanes);
    EXPECT_EQ(device->info().id.backend, BackendKind::simt_host);
    EXPECT_GT(simt_device(*device).limits().shared_bytes, 0U);
  }
}

TEST(SimtDevice, CountsTheBytesOfItsMemory) {
  const auto device = open_simt_host(32, 1);
  const MemoryUse before = device->memory();
  EXPECT_EQ(before.ours, 0U);
  {
    const Buffer buffer = device->allocate(1000, MemoryKind::device);
    const Buffer pinned = device->allocate(50, MemoryKind::pinned);
    const Buffer host = device->allocate(50, MemoryKind::host);
    const Buffer none = device->allocate(0, MemoryKind::device);
    EXPECT_EQ(device->memory().ours, 1000U);
    EXPECT_EQ(device->memory().free, before.free - 1000);
    for (const Buffer* b : {&buffer, &pinned, &host})
      EXPECT_EQ(reinterpret_cast<std::uintptr_t>(b->data()) % 64, 0U);
  }
  EXPECT_EQ(device->memory().ours, 0U);
  EXPECT_EQ(device->memory().free, before.free);
}

TEST(SimtDevice, OutOfMemoryNamesNeedFreeAndTotal) {
  const auto device = open_simt_host(32, 1);
  machine_of(*device).memory_bytes = 5000;
  const Buffer held = device->allocate(2000, MemoryKind::device);
  try {
    device->allocate(3001, MemoryKind::device);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::out_of_memory);
    EXPECT_THAT(error.what(), HasSubstr("need 3001 bytes, free 3000 of 5000 (2000 allocated"));
    EXPECT_FALSE(error.hint().empty());
  }
  EXPECT_EQ(device->memory().ours, 2000U);
  EXPECT_NO_THROW(device->allocate(3000, MemoryKind::device));
}

// What a small session does with a device.
int use(Device& device) {
  const Buffer data = device.allocate(64, MemoryKind::device);
  const Buffer pinned = device.allocate(sizeof(int), MemoryKind::pinned);
  const std::unique_ptr<Stream> stream = device.open_stream(StreamRole::compute);
  int value = 41;
  stream->copy({data.data(), 64, MemoryKind::device},
               {reinterpret_cast<std::byte*>(&value), sizeof(int), MemoryKind::host});
  launch(*stream, increment, {}, 32, 0, reinterpret_cast<int*>(data.data()));
  stream->copy({pinned.data(), sizeof(int), MemoryKind::pinned},
               {data.data(), sizeof(int), MemoryKind::device});
  stream->synchronize();
  return *reinterpret_cast<int*>(pinned.data());
}

TEST(SimtDevice, EveryAllocationMayFail) {
  const auto device = open_simt_host(32, 1);
  Machine& machine = machine_of(*device);
  EXPECT_EQ(use(*device), 42);
  const std::int64_t count = machine.allocations;
  EXPECT_EQ(count, 4);  // the last two are the stream's: counters and staging memory
  for (std::int64_t i = 0; i < count; ++i) {
    machine.allocations = 0;
    machine.failing_allocation = i;
    try {
      use(*device);
      FAIL() << i;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::out_of_memory) << error.what();
    }
    EXPECT_EQ(device->memory().ours, 0U);
  }
  machine.failing_allocation = -1;
  EXPECT_EQ(use(*device), 42);
}

TEST(SimtDevice, CopiesBetweenAllKindsOfMemory) {
  const auto device = open_simt_host(32, 1);
  const auto stream = device->open_stream(StreamRole::upload);
  constexpr std::size_t kBytes = (9 << 20) + 13;  // more than the staging memory holds
  std::vector<std::byte> from(kBytes);
  for (std::size_t i = 0; i < kBytes; ++i) from[i] = static_cast<std::byte>(i * 7 + i / 4096);
  const Buffer a = device->allocate(kBytes, MemoryKind::device);
  const Buffer b = device->allocate(kBytes, MemoryKind::pinned);
  const Buffer c = device->allocate(kBytes, MemoryKind::device);
  std::vector<std::byte> to(kBytes);
  std::vector<std::byte> last(kBytes);
  stream->copy({a.data(), kBytes, MemoryKind::device}, {from.data(), kBytes, MemoryKind::host});
  stream->copy({b.data(), kBytes, MemoryKind::pinned}, {a.data(), kBytes, MemoryKind::device});
  stream->copy({c.data(), kBytes, MemoryKind::device}, {b.data(), kBytes, MemoryKind::pinned});
  stream->copy({to.data(), kBytes, MemoryKind::host}, {c.data(), kBytes, MemoryKind::device});
  stream->copy({last.data(), kBytes, MemoryKind::host}, {to.data(), kBytes, MemoryKind::host});
  stream->copy({nullptr, 0, MemoryKind::host}, {nullptr, 0, MemoryKind::device});
  stream->synchronize();
  EXPECT_EQ(last, from);
  stream->fill({c.data() + 1, kBytes - 2, MemoryKind::device}, std::byte{7});
  stream->fill({to.data() + 1, kBytes - 2, MemoryKind::host}, std::byte{7});
  stream->synchronize();
  EXPECT_EQ(std::memcmp(c.data(), to.data(), kBytes), 0);
  EXPECT_EQ(to[0], from[0]);
  EXPECT_EQ(to[1], std::byte{7});
}

TEST(SimtDevice, ImportedMemoryIsUsedInPlace) {
  const auto device = open_simt_host(32, 1);
  const std::vector<std::byte> bytes(100);
  const std::optional<Buffer> imported = device->import_host(bytes);
  ASSERT_TRUE(imported);
  EXPECT_EQ(imported->data(), bytes.data());
  EXPECT_EQ(device->memory().ours, 0U);
  EXPECT_FALSE(device->import_host({}));
}

}  // namespace
}  // namespace strata::simt_host
