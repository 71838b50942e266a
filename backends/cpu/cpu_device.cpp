#include "backends/cpu/cpu_device.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <string>

#include "runtime/core/cpus.h"
#include "runtime/core/error.h"
#include "runtime/core/host_memory.h"
#include "runtime/core/numa.h"

namespace strata::cpu {
namespace {

constexpr int kMaxThreads = 1024;
// From here on one core cannot saturate memory, and waking the pool is cheap beside the copy.
constexpr std::int64_t kParallelBytes = 1 << 20;
constexpr std::int64_t kPageBytes = 4096;

int checked_threads(int threads) {
  if (threads < 0 || threads > kMaxThreads)
    throw Error(ErrorCode::usage, "cpu threads",
                fmt::format("{} is not between 1 and {} (0: one per core)", threads, kMaxThreads),
                "leave it out to use all cores of this process");
  return threads == 0 ? default_threads(allowed_cpus()) : threads;
}

const char* chosen_isa(const CpuDeviceOptions& options) {
  return options.isa != nullptr ? options.isa : std::getenv("STRATA_CPU_ISA");
}

// The "model name" line of /proc/cpuinfo; architectures that have none get a plain word.
std::string cpu_model() {
  std::ifstream cpuinfo("/proc/cpuinfo");
  for (std::string line; std::getline(cpuinfo, line);) {
    if (line.rfind("model name", 0) != 0) continue;
    const std::size_t start = line.find_first_not_of(" \t", line.find(':') + 1);
    if (start != std::string::npos) return line.substr(start);
  }
  return "CPU";
}

}  // namespace

CpuDevice::CpuDevice(const CpuDeviceOptions& options)
    : kernels_(&select_kernels(chosen_isa(options))),
      threads_(checked_threads(options.threads)),
      batch_threads_(options.batch_threads == 0 ? threads_
                                                : checked_threads(options.batch_threads)),
      pool_(std::max(threads_, batch_threads_),
            thread_places(numa_nodes(allowed_cpus()), std::max(threads_, batch_threads_))) {
  info_.id = {BackendKind::cpu, 0};
  info_.name = cpu_model();
  info_.arch = kernels_->isa;
  info_.memory_bytes = read_host_memory().total;
  info_.unified = true;
  info_.lanes = kernels_->lanes;
  info_.compute_units = pool_.size();
}

MemoryUse CpuDevice::memory() const {
  const HostMemory host = read_host_memory();
  return {host.total, host.free, allocated_.load(std::memory_order_relaxed)};
}

Buffer CpuDevice::allocate(std::size_t bytes, MemoryKind kind) {
  // Pages never touched are not yet missing from `free`: what all our buffers could grow to counts.
  const std::uint64_t ours = allocated_.fetch_add(bytes, std::memory_order_relaxed);
  std::byte* data = nullptr;
  if (bytes < kHugeBlockBytes) {
    data = allocate_host(bytes);
  } else {
    const HostMemory host = read_host_memory();
    if (bytes <= host.free && bytes <= host.total - std::min(host.total, ours))
      data = allocate_host(bytes);
  }
  if (data == nullptr) {
    allocated_.fetch_sub(bytes, std::memory_order_relaxed);
    const HostMemory host = read_host_memory();
    throw Error(ErrorCode::out_of_memory, to_string(info_.id),
                fmt::format("need {} bytes, free {} of {} ({} allocated by this device)", bytes,
                            host.free, host.total, ours),
                "use a smaller context or model, or free memory");
  }
  return {data, bytes, kind, &CpuDevice::release, this};
}

void CpuDevice::release(void* owner, std::byte* data, std::size_t bytes) {
  free_host(data, bytes);
  static_cast<CpuDevice*>(owner)->allocated_.fetch_sub(bytes, std::memory_order_relaxed);
}

std::optional<Buffer> CpuDevice::import_host(std::span<const std::byte> bytes) {
  // Owns nothing. Weights are operands that no op writes to, so that dropping const is harmless.
  return Buffer(const_cast<std::byte*>(bytes.data()), bytes.size(), MemoryKind::host, nullptr,
                nullptr);
}

std::unique_ptr<Stream> CpuDevice::open_stream(StreamRole role) {
  return std::make_unique<CpuStream>(*this, role);
}

const OpTable& CpuDevice::ops() const { return op_table(); }

template <class Body>
void CpuStream::divide(std::size_t bytes, const Body& body) {
  const auto count = static_cast<std::int64_t>(bytes);
  auto part = [&](int thread, int threads) {
    const Share share = share_of(count, kPageBytes, thread, threads);
    if (share.begin < share.end)
      body(share.begin, static_cast<std::size_t>(share.end - share.begin));
  };
  if (role_ == StreamRole::compute && count >= kParallelBytes)
    pool().run(part);
  else
    part(0, 1);
}

void CpuStream::copy(BufferSpan dst, BufferSpan src) {
  divide(src.bytes, [&](std::int64_t at, std::size_t bytes) {
    std::memcpy(dst.data + at, src.data + at, bytes);
  });
}

void CpuStream::fill(BufferSpan span, std::byte value) {
  divide(span.bytes, [&](std::int64_t at, std::size_t bytes) {
    std::memset(span.data + at, static_cast<int>(value), bytes);
  });
}

void CpuStream::host_task(HostTask task) { task.run(task.context); }

}  // namespace strata::cpu
