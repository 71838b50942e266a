#pragma once

#include <cstddef>
#include <span>

namespace strata {

/// Told, in stream order, what a device slot holds, so that a test can make reading it at a wrong
/// time fault. Called by whichever thread does the streams' work.
class SlotObserver {
 public:
  virtual ~SlotObserver() = default;
  /// Before bytes are copied into it.
  virtual void on_fill(int slot, std::span<std::byte> memory) = 0;
  /// May be read from now on.
  virtual void on_filled(int slot, std::span<std::byte> memory) = 0;
  /// Nobody may read it from now on.
  virtual void on_free(int slot, std::span<std::byte> memory) = 0;
};

}  // namespace strata
