// A simulated device as a card of a known size and speed: budget, times, memory that faults.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>

#include "runtime/core/error.h"
#include "tests/streaming/poisoned_slots.h"
#include "tests/support/loaded_model.h"
#include "tests/support/shared_data.h"

namespace strata::test {
namespace {

using sim::Engine;
using sim::SimDevice;
using sim::SimOptions;
using testing::HasSubstr;

SimDevice device_of(const SimOptions& options) { return {open_device("cpu", {1}), options}; }

SimOptions timed(const sim::DeviceSpeeds& speeds, std::uint64_t seed = 1, bool late = true) {
  SimOptions options;
  options.seed = seed;
  options.late = late;
  options.speeds = speeds;
  return options;
}

BufferSpan span_of(const Buffer& buffer) { return {buffer.data(), buffer.bytes(), buffer.kind()}; }

// Reads a byte, whatever the compiler thinks of it.
int value_at(const std::byte* at) {
  return std::to_integer<int>(*static_cast<const volatile std::byte*>(at));
}

std::span<std::byte> bytes_of(const Buffer& buffer) { return {buffer.data(), buffer.bytes()}; }

TEST(SimDeviceBudget, IsExactAndHasNoMargin) {
  const auto device = open_device("sim:0", {.cpu_threads = 1, .memory_bytes = 1 << 20});
  EXPECT_EQ(device->info().memory_bytes, 1u << 20);
  const Buffer most = device->allocate((1 << 20) - 1, MemoryKind::device);
  const Buffer pinned = device->allocate(1 << 20, MemoryKind::pinned);  // not the device's
  {
    const Buffer last = device->allocate(1, MemoryKind::device);
    EXPECT_EQ(device->memory().free, 0u);
  }
  EXPECT_EQ(device->memory().free, 1u);
  try {
    (void)device->allocate(2, MemoryKind::device);
    FAIL() << "one byte too many";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::out_of_memory);
    EXPECT_THAT(error.what(), HasSubstr("need 2 bytes of device memory, free 1 of 1048576"));
  }
  EXPECT_EQ(device->memory().free, 1u);
}

TEST(SimDeviceBudget, PinnedMemoryHasALimitOfItsOwn) {
  SimOptions options;
  options.pinned_bytes = 1000;
  SimDevice device = device_of(options);
  const Buffer first = device.allocate(600, MemoryKind::pinned);
  EXPECT_THROW((void)device.allocate(401, MemoryKind::pinned), Error);
  const Buffer second = device.allocate(400, MemoryKind::pinned);
  EXPECT_EQ(device.pinned_bytes(), 1000u);
}

TEST(SimDeviceTime, OfACopyIsLatencyAndBytes) {
  SimDevice device = device_of(timed({.upload = {1e9, 500, 0}, .download = {0.5e9, 100, 0}}));
  const Buffer host = device.allocate(1000, MemoryKind::pinned);
  const Buffer memory = device.allocate(1000, MemoryKind::device);
  const auto stream = device.open_stream(StreamRole::upload);
  stream->copy(span_of(memory), span_of(host));
  const Event up = stream->record();
  stream->copy(span_of(host), span_of(memory));
  stream->synchronize();
  const sim::ClockReading reading = device.clock()->read();
  EXPECT_TRUE(stream->reached(up.ticket));
  EXPECT_EQ(reading.host_ns, 1500 + 2100);
  EXPECT_EQ(reading.busy(Engine::upload), 1500);
  EXPECT_EQ(reading.busy(Engine::download), 2100);
}

TEST(SimDeviceTime, OfAnOpIsItsLiveRowsAndTheLaunch) {
  sim::DeviceSpeeds speeds;
  speeds.device_bytes_per_second = 1e9;
  speeds.device_flops = 1e6;
  speeds.launch_ns = 7;
  SimDevice device = device_of(timed(speeds));
  const Buffer memory = device.allocate(3 * 8 * 64 * 4, MemoryKind::device);
  const TensorDesc desc{DType::F32, Layout::rows, {8, 64}};
  const PreparedOp add =
      device.ops()[OpKind::Add].prepare(device, {Add{}, {desc, desc}, {}, {desc}});
  const auto stream = device.open_stream(StreamRole::compute);
  stream->fill(span_of(memory), std::byte{0});
  stream->synchronize();
  EXPECT_EQ(device.clock()->host_ns(), 7 + 6144);
  TensorView views[3];
  for (int i = 0; i < 3; ++i) {
    views[i] = dense_view(memory.data() + i * 8 * 64 * 4, desc);
    views[i].shape[0] = 2;
  }
  add.run(*stream, add, {{views, 2}, {}, {views + 2, 1}}, {});
  stream->synchronize();
  // 2 rows of 64: 128 additions at a million per second take longer than moving 1536 bytes.
  EXPECT_EQ(device.clock()->host_ns(), 7 + 6144 + 7 + 128000);
}

std::vector<double> copy_times(double jitter, std::uint64_t seed, bool late) {
  SimDevice device = device_of(timed({.upload = {1e9, 100, jitter}}, seed, late));
  const Buffer host = device.allocate(10000, MemoryKind::pinned);
  const Buffer memory = device.allocate(10000, MemoryKind::device);
  const auto stream = device.open_stream(StreamRole::upload);
  std::vector<double> times;
  for (int i = 0; i < 4000; ++i) {
    const std::int64_t before = device.clock()->host_ns();
    stream->copy(span_of(memory), span_of(host));
    stream->synchronize();
    times.push_back(static_cast<double>(device.clock()->host_ns() - before));
  }
  return times;
}

TEST(SimDeviceTime, JitterHasItsMeanAndSpreadAndIsTheSameAgain) {
  for (const double jitter : {0.1, 0.3, 1.0}) {
    const std::vector<double> times = copy_times(jitter, 5, true);
    double mean = 0;
    double square = 0;
    for (const double time : times) {
      mean += time / 4000;
      square += time * time / 4000;
    }
    // Four standard errors of 4000 draws.
    EXPECT_NEAR(mean, 10100, 4 * jitter * 10000 / std::sqrt(4000.0)) << jitter;
    EXPECT_NEAR(std::sqrt(square - mean * mean), jitter * 10000, 0.2 * jitter * 10000) << jitter;
    EXPECT_EQ(copy_times(jitter, 5, false), times);  // however late the work is really done
    EXPECT_NE(copy_times(jitter, 6, true), times);
  }
}

// A whole model: the same times whatever the order in which the work is really done.
TEST(SimDeviceTime, OfAModelIsTheSameOnEveryRun) {
  const auto model = Model::load(ModelFile::open(source_root() / "models" / "strata-tiny.gguf"));
  sim::DeviceSpeeds speeds{{1e9, 1000, 0}, {1e9, 1000, 0}, 1e10, 1e12, 2000, 16};
  RunnerOptions options = test_options(DType::F16, 32);
  options.context = 64;
  std::vector<std::int64_t> times;
  for (std::uint64_t seed = 1; seed <= 4; ++seed) {
    SimDevice device = device_of(timed(speeds, seed, seed > 1));
    Runner runner(model, device, options);
    (void)greedy(runner, {1, 5, 9}, 8);
    const sim::ClockReading reading = device.clock()->read();
    times.push_back(reading.host_ns);
    EXPECT_GE(reading.bytes[1], model->file().tensor_bytes());
  }
  EXPECT_GT(times[0], 2300000);  // the weights alone, over a link of 1 byte per ns
  EXPECT_EQ(times, std::vector<std::int64_t>(4, times[0]));
}

TEST(SimDeviceFaults, AFailingCopyFailsWhoWaitsForIt) {
  SimDevice device = device_of({});
  const Buffer host = device.allocate(64, MemoryKind::pinned);
  const Buffer memory = device.allocate(64, MemoryKind::device);
  const auto upload = device.open_stream(StreamRole::upload);
  const auto compute = device.open_stream(StreamRole::compute);
  device.faults().failing_copy = 1;
  for (const bool fails : {false, true}) {
    upload->copy(span_of(memory), span_of(host));
    compute->wait(upload->record());
    if (fails)
      EXPECT_THROW(compute->synchronize(), Error);
    else
      EXPECT_NO_THROW(compute->synchronize());
  }
}

TEST(SimDevicePoison, FaultsUntilItIsCured) {
  SimDevice device = device_of({});
  const Buffer memory = device.allocate(3 * 4096 + 100, MemoryKind::device);
  std::byte* const data = memory.data();
  std::memset(data, 1, memory.bytes());
  device.poisoned().poison({data + 4096, 4096 + 50});  // the second page; a part of the third
  EXPECT_TRUE(device.poisoned().poisoned({data + 8191, 1}));
  EXPECT_FALSE(device.poisoned().poisoned({data + 8192, 4096}));
  EXPECT_EQ(value_at(data + 4095), 1);
  EXPECT_EQ(value_at(data + 8192), 1);
  EXPECT_DEATH(value_at(data + 4096), "");
  EXPECT_DEATH(value_at(data + 8191), "");
  device.poisoned().cure({data + 4096, 1});
  EXPECT_EQ(value_at(data + 8191), 1);
  EXPECT_FALSE(device.poisoned().poisoned(bytes_of(memory)));
}

TEST(SimDevicePoison, PiecesOfARange) {
  SimDevice device = device_of({});
  const Buffer memory = device.allocate(8 * 4096, MemoryKind::device);
  const std::span<std::byte> all = bytes_of(memory);
  std::memset(all.data(), 1, all.size());
  device.poisoned().poison(all);
  device.poisoned().cure(all.subspan(2 * 4096, 4096 + 1));  // the third page and the fourth
  for (std::size_t page = 0; page < 8; ++page)
    EXPECT_EQ(device.poisoned().poisoned(all.subspan(page * 4096, 4096)), page != 2 && page != 3);
  std::byte* const data = all.data();
  EXPECT_EQ(value_at(data + 3 * 4096), 1);
  EXPECT_DEATH(value_at(data + 4096), "");
  EXPECT_DEATH(value_at(data + 7 * 4096), "");
}

// A copy engine writes to memory that kernels may not read yet, and leaves it so.
TEST(SimDevicePoison, CopiesAndFillsWriteThroughIt) {
  SimDevice device = device_of({});
  const Buffer host = device.allocate(4096, MemoryKind::pinned);
  std::memset(host.data(), 7, host.bytes());
  const Buffer memory = device.allocate(8192, MemoryKind::device);
  const auto stream = device.open_stream(StreamRole::upload);
  device.poisoned().poison(bytes_of(memory));
  stream->copy({memory.data() + 1000, 4096, MemoryKind::device}, span_of(host));
  stream->fill({memory.data() + 6000, 10, MemoryKind::device}, std::byte{9});
  stream->synchronize();
  std::byte* const data = memory.data();
  EXPECT_DEATH(value_at(data + 1000), "");
  EXPECT_DEATH(value_at(data + 6000), "");
  device.poisoned().cure(bytes_of(memory));
  EXPECT_EQ(value_at(data + 999), 0);
  EXPECT_EQ(value_at(data + 1000), 7);
  EXPECT_EQ(value_at(data + 5095), 7);
  EXPECT_EQ(value_at(data + 6009), 9);
}

TEST(SimDevicePoison, MemoryIsGivenBackPoisoned) {
  SimDevice device = device_of({});
  for (int i = 0; i < 3; ++i) {
    const Buffer memory = device.allocate(64 << 10, MemoryKind::device);
    EXPECT_FALSE(device.poisoned().poisoned(bytes_of(memory)));
    std::memset(memory.data(), 1, memory.bytes());
    device.poisoned().poison(bytes_of(memory));
  }
  EXPECT_EQ(device.memory().ours, 0u);
}

TEST(SimDevicePoison, ThePageBehindABufferFaults) {
  SimDevice device = device_of({});
  const Buffer memory = device.allocate(4096, MemoryKind::device);
  std::byte* const data = memory.data();
  data[4095] = std::byte{1};
  EXPECT_DEATH(value_at(data + 4096), "");
}

TEST(PoisonedSlots, SeeAFillOfASlotInUse) {
  SimDevice device = device_of({});
  const Buffer memory = device.allocate(8192, MemoryKind::device);
  PoisonedSlots slots(device);
  std::byte* const data = memory.data();
  slots.on_fill(0, bytes_of(memory));
  EXPECT_DEATH(value_at(data + 0), "");
  slots.on_filled(0, bytes_of(memory));
  EXPECT_EQ(value_at(data + 0), 0);
  EXPECT_EQ(slots.overwritten(), 0);
  slots.on_free(0, bytes_of(memory));
  EXPECT_DEATH(value_at(data + 0), "");
  slots.on_fill(0, bytes_of(memory));
  slots.on_filled(0, bytes_of(memory));
  slots.on_fill(0, bytes_of(memory));  // nobody freed it
  EXPECT_EQ(slots.overwritten(), 1);
}

}  // namespace
}  // namespace strata::test
