#pragma once

#include <set>

#include "backends/sim/sim_device.h"
#include "runtime/streaming/slot_observer.h"

namespace strata::test {

/// Lets a device slot of streamed weights on a simulated device fault while nobody may read it:
/// from the moment it is free, or its next copy begins, until it is filled.
class PoisonedSlots final : public SlotObserver {
 public:
  explicit PoisonedSlots(sim::SimDevice& device) : ranges_(device.poisoned()) {}

  void on_fill(int slot, std::span<std::byte> memory) override {
    if (held_.contains(slot)) ++overwritten_;
    ranges_.poison(memory);
  }
  void on_filled(int slot, std::span<std::byte> memory) override {
    ranges_.cure(memory);
    held_.insert(slot);
    ++filled_;
  }
  void on_free(int slot, std::span<std::byte> memory) override {
    ranges_.poison(memory);
    held_.erase(slot);
  }

  /// Fills of slots that nobody had freed.
  int overwritten() const { return overwritten_; }
  int filled() const { return filled_; }

 private:
  sim::PoisonedRanges& ranges_;
  std::set<int> held_;
  int overwritten_ = 0;
  int filled_ = 0;
};

}  // namespace strata::test
