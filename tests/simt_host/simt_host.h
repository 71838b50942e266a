#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>

#include "runtime/core/device.h"

// CUDA's and HIP's kernels on a device that does not exist: their sources run on the CPU, see
// block.h.
namespace strata::simt_host {

/// What a simulated device is made of, and what shall go wrong on it.
struct Machine {
  int lanes = 32;
  std::uint64_t seed = 0;
  std::size_t memory_bytes = std::size_t{2} << 30;
  std::size_t shared_bytes = 64 << 10;

  std::atomic<std::size_t> used{0};  ///< bytes of device memory
  std::atomic<std::uint64_t> launches{0};
  std::atomic<std::int64_t> allocations{0};
  /// This allocation of device or pinned memory fails, counted from 0; -1: none does.
  std::atomic<std::int64_t> failing_allocation{-1};
  /// The kernel launch of this number fails asynchronously, and all work after it.
  std::atomic<std::int64_t> failing_launch{-1};
  /// Kernels of launch_overlapped() run as early as they may: their threads come to
  /// wait_for_previous() before the kernel in front has begun.
  bool early = false;
  std::uint64_t prefetches = 0;  ///< bytes that kernels asked for early

  /// The library of matrix products that vendor_gemm.cpp plays.
  bool has_library = true;
  double library_seconds = 10;          ///< of a product, where a kernel of ours takes one
  std::int64_t library_least_rows = 0;  ///< of w: it takes no product with fewer
  /// It sums in two pieces where w has so many rows.
  std::int64_t library_splits_from = std::numeric_limits<std::int64_t>::max();
  std::atomic<std::uint64_t> library_products{0};
};

/// A device with `lanes` (32 or 64) lanes that runs threads and blocks in an order made from
/// `seed`.
std::unique_ptr<Device> open_simt_host(int lanes, unsigned seed);

/// The machine that a device of open_simt_host() runs on.
Machine& machine_of(const Device& device);
/// Machine `index`, which lives for as long as the program; null when there is none.
Machine* find_machine(int index);
int machine_count();

}  // namespace strata::simt_host

namespace strata {
using simt_host::open_simt_host;
}
