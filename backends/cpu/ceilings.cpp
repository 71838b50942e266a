#include "backends/cpu/ceilings.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstring>

#include "backends/cpu/backend.h"
#include "backends/cpu/kernels/ceilings.h"
#include "runtime/core/cpu_cache.h"

namespace strata::cpu {
namespace {

constexpr std::uint64_t kReadBytes = std::uint64_t{512} << 20;
constexpr std::uint64_t kCaches = 16;     // times the last-level caches
constexpr std::uint64_t kMemoryPart = 8;  // of what is free
constexpr std::uint64_t kLeastBytes = std::uint64_t{1} << 20;
// A step is a register of work: about 3 ms on a core of 4 GHz that does two steps a cycle.
constexpr std::int64_t kPeakRounds = 1'000'000;
constexpr int kPeakRuns = 8;
constexpr int kReadRuns = 8;

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point begin) {
  return std::chrono::duration<double>(Clock::now() - begin).count();
}

Share read_share(std::size_t bytes, int thread, int threads) {
  const auto whole = static_cast<std::int64_t>(bytes) / kReadGrain * kReadGrain;
  return share_of(whole, kReadGrain, thread, threads);
}

double best_peak(CpuDevice& device, PeakKernel kernel) {
  double best = 0;
  for (int run = 0; run < kPeakRuns; ++run) best = std::max(best, sample_peak(device, kernel));
  return best;
}

}  // namespace

double sample_read(CpuDevice& device, std::span<const std::byte> data, int shape) {
  std::atomic<std::uint64_t> checksum{0};
  const Kernels& kernels = device.kernels();
  const auto begin = Clock::now();
  device.pool().run([&](int thread, int threads) {
    const Share share = read_share(data.size(), thread, threads);
    std::uint64_t seen = 0;
    kernels.read_bytes(data.data() + share.begin, share.end - share.begin, shape, &seen);
    checksum.fetch_or(seen, std::memory_order_relaxed);
  });
  return static_cast<double>(data.size()) / seconds_since(begin);
}

double sample_peak(CpuDevice& device, PeakKernel kernel) {
  std::atomic<double> operations{0};
  const auto run = device.kernels().*kernel;
  const auto begin = Clock::now();
  device.pool().run([&](int, int) {
    double done = 0;
    run(kPeakRounds, &done);
    operations.fetch_add(done, std::memory_order_relaxed);
  });
  return operations.load() / seconds_since(begin);
}

Buffer allocate_read_buffer(CpuDevice& device) {
  std::uint64_t bytes = std::max(kReadBytes, kCaches * last_level_cache_bytes());
  bytes = std::min(bytes, std::max(device.memory().free / kMemoryPart, kLeastBytes));
  bytes = bytes / kReadGrain * kReadGrain;
  Buffer buffer = device.allocate(bytes, MemoryKind::device);
  // Pages never written all map to one page of zeros.
  device.pool().run([&](int thread, int threads) {
    const Share share = read_share(bytes, thread, threads);
    std::memset(buffer.data() + share.begin, 0x35,
                static_cast<std::size_t>(share.end - share.begin));
  });
  return buffer;
}

Ceilings measure_ceilings(Device& device) {
  auto& cpu = static_cast<CpuDevice&>(device);
  Ceilings ceilings;
  {
    const Buffer buffer = allocate_read_buffer(cpu);
    for (int run = 0; run < kReadRuns * kReadShapes; ++run)
      ceilings.read_bytes_per_second =
          std::max(ceilings.read_bytes_per_second,
                   sample_read(cpu, {buffer.data(), buffer.bytes()}, run % kReadShapes));
  }
  ceilings.int8_ops_per_second = best_peak(cpu, &Kernels::peak_int8);
  ceilings.bf16_flops_per_second = best_peak(cpu, &Kernels::peak_bf16);
  ceilings.f32_flops_per_second = best_peak(cpu, &Kernels::peak_f32);
  return ceilings;
}

}  // namespace strata::cpu
