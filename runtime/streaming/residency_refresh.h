#pragma once

#include <optional>

#include "runtime/streaming/residency.h"

namespace strata {

/// What decoding steps of a plan took, the mean of some.
struct SweepFigures {
  double seconds = 0;         ///< of a sweep
  double disk_bytes = 0;      ///< that were read in it
  double reader_seconds = 0;  ///< inside those reads, summed over the reader threads
};

/// A plan beside what its sweeps showed.
struct RefreshedPlan {
  LinkSpeeds links;              ///< that explain the time
  double predicted_seconds = 0;  ///< of a sweep of the plan as it is, with these
  ResidencyPlan plan;            ///< what is planned with them
  bool better = false;           ///< whether that gains 5 % and more
};

/// Plans anew where sweeps took over 15 % more, or less, than was predicted: with the disk at the
/// speed that reads had, and the busiest of the other links, which nobody measures while it works,
/// at the one that explains the rest. Empty where the
/// prediction holds, there is none, or it hangs on experts that come one by one. The running plan
/// is not changed: what stays where, slots and units are memory that is in use. Throws as
/// plan_residency() does.
std::optional<RefreshedPlan> refresh_plan(const ResidencyRequest& request,
                                          const ResidencyPlan& plan, const SweepFigures& measured);

}  // namespace strata
