#pragma once

#include <array>
#include <cstdint>
#include <span>

#include "runtime/core/device.h"
#include "runtime/core/tensor.h"

namespace strata {

/// A row block of a weight tensor, in the numbering of the source that serves it.
struct BlockId {
  std::uint32_t tensor = 0;
  std::uint32_t block = 0;
  friend constexpr bool operator==(const BlockId&, const BlockId&) = default;
};

/// The right to use a block's bytes on the device until release().
struct Lease {
  TensorView view;             ///< rows [first_row, first_row + view.rows()) of the tensor
  std::int64_t first_row = 0;  ///< row of the whole tensor at which the view begins
  BlockId block;
  std::uint64_t generation = 0;  ///< of the slot that holds it; 0 for resident blocks
};

/// Where the executor gets weights from. Resident weights are the trivial case; streaming is the
/// other. Called by the executor's thread only; neither call allocates or waits for the host.
class WeightSource {
 public:
  virtual ~WeightSource() = default;
  /// View of the block on the device; `compute` waits for its upload.
  virtual Lease acquire(BlockId block, Stream& compute) = 0;
  /// Gives the block back once `last_use` is reached.
  virtual void release(const Lease& lease, const Event& last_use) = 0;
};

/// Matrices of experts that one launch multiplies: gate and up together, or one.
inline constexpr std::size_t kMostExpertMatrices = 2;

/// The right to use some experts' matrices on the device until ExpertSource::release().
struct ExpertLease {
  /// (experts, n, k) as the launch's op has it, of which only the slots that were handed out are
  /// memory; one per matrix of the launch.
  std::array<TensorView, kMostExpertMatrices> matrices;
  std::uint32_t launch = 0;
};

/// Where the executor gets matrices of experts from that are not all on the device: what a launch
/// needs of them is known only when the step's tokens have been routed. Called by the executor's
/// thread only, one launch at a time.
class ExpertSource {
 public:
  virtual ~ExpertSource() = default;
  /// Brings as many of the `wanted` experts (their numbers, rising) as fit at a time, at least one:
  /// slots[i] is the slot of wanted[i] in the lease's matrices, or -1 where it has to be asked for
  /// again. May wait for the host to read; `compute` waits for the uploads. Throws Error{io}, after
  /// which nothing is leased and the source can be used again.
  virtual ExpertLease acquire(std::uint32_t launch, std::span<const std::int32_t> wanted,
                              std::span<std::int32_t> slots, Stream& compute) = 0;
  /// Gives the slots back once `last_use` is reached.
  virtual void release(const ExpertLease& lease, const Event& last_use) = 0;
};

}  // namespace strata
