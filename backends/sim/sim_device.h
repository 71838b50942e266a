#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>

#include "backends/sim/cost_model.h"
#include "backends/sim/faults.h"
#include "backends/sim/poison.h"
#include "backends/sim/virtual_clock.h"
#include "runtime/core/device.h"
#include "runtime/ops/op_impl.h"

namespace strata::sim {

struct SimOptions {
  /// Memory of the device; allocations of device memory beyond it fail. 0: all that the device
  /// inside has.
  std::uint64_t memory_bytes = 0;
  /// Of the order in which streams get on, and of the jitter of copies.
  std::uint64_t seed = 1;
  /// Work is done some calls after it was enqueued, in a seeded order, or when someone waits for
  /// it; else at once.
  bool late = true;
  /// The same for pinned host memory. 0: no limit of our own.
  std::uint64_t pinned_bytes = 0;
  /// Work takes time on a virtual clock (SimDevice::clock()); by it `reached` is answered. Without
  /// it only the order of things is simulated.
  std::optional<DeviceSpeeds> speeds = std::nullopt;
};

/// A device with memory of its own and asynchronous streams, made of another device, for tests of
/// what is hard to bring about on a GPU. Its memory is that of the device inside, which the host
/// may not rely on: `unified` is false. Work is really done later than it was enqueued, so that who
/// forgets to wait sees it. Where the device inside is unified, device memory lies in pages of its
/// own, which poison() can forbid: a kernel or the host that touches it then faults (SIGSEGV),
/// while copies and fills of a stream may write to it. Used by one thread at a time.
class SimDevice final : public Device {
 public:
  SimDevice(std::unique_ptr<Device> inside, const SimOptions& options);

  MemoryUse memory() const override;
  Buffer allocate(std::size_t bytes, MemoryKind kind) override;
  /// Never: weights are copied, as to a card.
  std::optional<Buffer> import_host(std::span<const std::byte> bytes) override;
  std::unique_ptr<Stream> open_stream(StreamRole role) override;
  const OpTable& ops() const override { return ops_; }

  Faults& faults() { return faults_; }
  Device& inside() { return *inside_; }
  const SimOptions& options() const { return options_; }
  /// Null without SimOptions::speeds.
  VirtualClock* clock() { return clock_ ? &*clock_ : nullptr; }
  CostModel& costs() { return costs_; }

  /// Device memory that nobody may read until it is cured; call it in stream order (a host task).
  PoisonedRanges& poisoned() { return poisoned_; }
  std::uint64_t pinned_bytes() const { return pinned_; }

 private:
  struct Allocation;
  Buffer allocate_inside(std::size_t bytes, MemoryKind kind);
  static void release(void* owner, std::byte* data, std::size_t bytes);
  static void release_pages(void* owner, std::byte* data, std::size_t bytes);

  std::unique_ptr<Device> inside_;
  SimOptions options_;
  OpTable ops_;
  Faults faults_;
  CostModel costs_;
  std::optional<VirtualClock> clock_;
  PoisonedRanges poisoned_;
  std::atomic<std::uint64_t> used_{0};    ///< device memory
  std::atomic<std::uint64_t> pinned_{0};  ///< and what is not
};

}  // namespace strata::sim
