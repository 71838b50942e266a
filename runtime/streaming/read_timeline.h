#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "runtime/streaming/file_range.h"

namespace strata {

/// When a ring's reads are done on a disk whose time is simulated. Reads are made in real time all
/// the same, but a unit counts as read when the time line says so: tests are exact whatever the
/// machine is doing. Called by the ring's consumer thread alone, in the order of its own calls.
class ReadTimeline {
 public:
  virtual ~ReadTimeline() = default;

  /// Reading of `sweep`, again and again, begins now, into so many slots.
  virtual void begin(std::span<const StreamUnit> sweep, std::size_t slots) = 0;
  /// What was read and not taken is dropped; reading goes on with unit `first`.
  virtual void restart(std::uint32_t first) = 0;
  /// Whether the next unit in order has been read by now.
  virtual bool is_done() = 0;
  /// Waits for it; nanoseconds that this takes. A slot is free, or was when its read began.
  virtual std::int64_t await() = 0;
  /// It is taken: its slot is in use.
  virtual void take() = 0;
  /// A slot that was in use is free now.
  virtual void give_back() = 0;
};

}  // namespace strata
