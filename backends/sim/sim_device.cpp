#include "backends/sim/sim_device.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "backends/sim/backend.h"
#include "backends/sim/op_table.h"
#include "backends/sim/sim_stream.h"
#include "runtime/core/error.h"

namespace strata::sim {
namespace {

// A Buffer of the device inside, and whose count it is in.
struct Allocation {
  Buffer buffer;
  std::atomic<std::uint64_t>* count;
};

}  // namespace

SimDevice::SimDevice(std::unique_ptr<Device> inside, const SimOptions& options)
    : inside_(std::move(inside)), options_(options), ops_(wrapped_ops(inside_->ops())) {
  info_ = inside_->info();
  info_.id = {BackendKind::sim, 0};
  info_.name = "simulated device on " + info_.name;
  info_.unified = false;
  info_.software = true;
  if (options_.memory_bytes > 0) info_.memory_bytes = options_.memory_bytes;
}

MemoryUse SimDevice::memory() const {
  const std::uint64_t used = used_.load();
  const std::uint64_t free = info_.memory_bytes - std::min(info_.memory_bytes, used);
  const std::uint64_t inside = inside_->memory().free;
  return {info_.memory_bytes, options_.memory_bytes > 0 ? free : std::min(free, inside), used};
}

Buffer SimDevice::allocate(std::size_t bytes, MemoryKind kind) {
  const bool fails = faults_.allocations.fetch_add(1) == faults_.failing_allocation.load();
  std::atomic<std::uint64_t>& count = kind == MemoryKind::device ? used_ : pinned_;
  const std::uint64_t before = count.fetch_add(bytes);
  try {
    if (fails || (kind == MemoryKind::device && before + bytes > info_.memory_bytes))
      throw Error(ErrorCode::out_of_memory, to_string(info_.id),
                  fmt::format("need {} bytes, free {} of {}{}", bytes,
                              info_.memory_bytes - std::min(info_.memory_bytes, before),
                              info_.memory_bytes, fails ? " (a fault that was asked for)" : ""),
                  "use a smaller context or model");
    auto owned = std::make_unique<Allocation>(Allocation{inside_->allocate(bytes, kind), &count});
    std::byte* const data = owned->buffer.data();
    return {data, bytes, kind, &SimDevice::release, owned.release()};
  } catch (...) {
    count.fetch_sub(bytes);
    throw;
  }
}

void SimDevice::release(void* owner, std::byte*, std::size_t bytes) {
  const std::unique_ptr<Allocation> owned(static_cast<Allocation*>(owner));
  owned->count->fetch_sub(bytes);
}

std::optional<Buffer> SimDevice::import_host(std::span<const std::byte>) { return std::nullopt; }

std::unique_ptr<Stream> SimDevice::open_stream(StreamRole role) {
  return std::make_unique<SimStream>(*this, role);
}

std::unique_ptr<Device> wrap(std::unique_ptr<Device> inside) {
  return std::make_unique<SimDevice>(std::move(inside), SimOptions{});
}

}  // namespace strata::sim
