#pragma once

#include <cstdint>

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

}  // namespace strata
