#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "runtime/core/device.h"

namespace strata {

/// Memory for many tensors in few large buffers, which the system can back with huge pages. None is
/// larger than 256 MiB or the device's largest view, but for a tensor that is larger itself.
/// Nothing is touched: who writes a page first decides where it lies.
class WeightSlabs {
 public:
  /// Makes room for tensors of these sizes, in this order, and returns where each begins, aligned
  /// to 256 bytes. What was placed before stays. Throws Error{out_of_memory}.
  std::vector<std::byte*> place(Device& device, std::span<const std::size_t> sizes);

  /// Bytes that a tensor of this size takes.
  static std::size_t room(std::size_t bytes) { return (bytes + kAlign - 1) / kAlign * kAlign; }

 private:
  static constexpr std::size_t kAlign = 256;  // what storage buffers of any GPU ask for
  std::vector<Buffer> slabs_;
};

}  // namespace strata
