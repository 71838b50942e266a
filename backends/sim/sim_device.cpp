#include "backends/sim/sim_device.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <utility>

#include "backends/sim/backend.h"
#include "backends/sim/op_table.h"
#include "backends/sim/sim_stream.h"
#include "runtime/core/error.h"
#include "runtime/core/page_memory.h"

namespace strata::sim {
// A Buffer of the device inside, and whose count it is in.
struct SimDevice::Allocation {
  Buffer buffer;
  std::atomic<std::uint64_t>* count;
};

SimDevice::SimDevice(std::unique_ptr<Device> inside, const SimOptions& options)
    : inside_(std::move(inside)),
      options_(options),
      ops_(wrapped_ops(inside_->ops())),
      costs_(options.speeds.value_or(DeviceSpeeds{}), options.seed) {
  info_ = inside_->info();
  info_.id = {BackendKind::sim, 0};
  info_.name = "simulated device on " + info_.name;
  info_.unified = false;
  info_.software = true;
  if (options_.memory_bytes > 0) info_.memory_bytes = options_.memory_bytes;
  if (options_.speeds) clock_.emplace();
}

MemoryUse SimDevice::memory() const {
  const std::uint64_t used = used_.load();
  const std::uint64_t free = info_.memory_bytes - std::min(info_.memory_bytes, used);
  const std::uint64_t inside = inside_->memory().free;
  return {info_.memory_bytes, options_.memory_bytes > 0 ? free : std::min(free, inside), used};
}

Buffer SimDevice::allocate(std::size_t bytes, MemoryKind kind) {
  const bool fails = faults_.allocations.fetch_add(1) == faults_.failing_allocation.load();
  const bool device = kind == MemoryKind::device;
  std::atomic<std::uint64_t>& count = device ? used_ : pinned_;
  const std::uint64_t limit = device ? info_.memory_bytes : options_.pinned_bytes;
  const std::uint64_t before = count.fetch_add(bytes);
  try {
    const std::uint64_t left = limit - std::min(limit, before);
    if (fails || ((device || limit > 0) && bytes > left))
      throw Error(ErrorCode::out_of_memory, to_string(info_.id),
                  fmt::format("need {} bytes of {} memory, free {} of {}{}", bytes,
                              device ? "device" : "pinned", left, limit,
                              fails ? " (a fault that was asked for)" : ""),
                  "use a smaller context or model");
    return allocate_inside(bytes, kind);
  } catch (...) {
    count.fetch_sub(bytes);
    throw;
  }
}

// Pages of our own can be poisoned; a device inside that is not unified needs its own memory.
Buffer SimDevice::allocate_inside(std::size_t bytes, MemoryKind kind) {
  if (kind == MemoryKind::device && inside_->info().unified) {
    std::byte* const pages = map_pages(bytes);
    if (pages == nullptr)
      throw Error(ErrorCode::out_of_memory, to_string(info_.id),
                  fmt::format("the system refuses to map {} bytes", bytes));
    return {pages, bytes, kind, &SimDevice::release_pages, this};
  }
  auto owned = std::make_unique<Allocation>(
      Allocation{inside_->allocate(bytes, kind), kind == MemoryKind::device ? &used_ : &pinned_});
  std::byte* const data = owned->buffer.data();
  return {data, bytes, kind, &SimDevice::release, owned.release()};
}

void SimDevice::release(void* owner, std::byte*, std::size_t bytes) {
  const std::unique_ptr<Allocation> owned(static_cast<Allocation*>(owner));
  owned->count->fetch_sub(bytes);
}

void SimDevice::release_pages(void* owner, std::byte* data, std::size_t bytes) {
  SimDevice& device = *static_cast<SimDevice*>(owner);
  device.poisoned_.forget({data, bytes});
  unmap_pages(data, bytes);
  device.used_.fetch_sub(bytes);
}

std::optional<Buffer> SimDevice::import_host(std::span<const std::byte>) { return std::nullopt; }

std::unique_ptr<Stream> SimDevice::open_stream(StreamRole role) {
  return std::make_unique<SimStream>(*this, role);
}

std::unique_ptr<Device> wrap(std::unique_ptr<Device> inside, std::uint64_t memory_bytes) {
  auto device = std::make_unique<SimDevice>(std::move(inside), SimOptions{memory_bytes});
  if (const char* wish = std::getenv("STRATA_SIM_FAULT")) ask_for_fault(device->faults(), wish);
  return device;
}

}  // namespace strata::sim
