#pragma once

#include <atomic>
#include <cstdint>
#include <string_view>

namespace strata::sim {

/// What goes wrong on a simulated device, and when. May be changed while it is used, by any thread.
struct Faults {
  /// The allocation of this number, counted from 0, fails; -1: none does.
  std::atomic<std::int64_t> failing_allocation{-1};
  /// The op of this number fails when the device comes to it, and every later one; -1: none does.
  std::atomic<std::int64_t> failing_op{-1};
  /// The same for copies of streams.
  std::atomic<std::int64_t> failing_copy{-1};
  std::atomic<std::int64_t> allocations{0};  ///< asked for so far
  std::atomic<std::int64_t> ops{0};          ///< run so far
  std::atomic<std::int64_t> copies{0};       ///< made so far
};

/// Asks for the fault that `wish` names: "op:N", "copy:N" or "allocation:N". Throws Error{usage}
/// for anything else.
void ask_for_fault(Faults& faults, std::string_view wish);

}  // namespace strata::sim
