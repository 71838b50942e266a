#pragma once

#include <optional>
#include <vector>

#include "runtime/streaming/residency.h"
#include "runtime/streaming/sweep_simulator.h"

namespace strata {

// Parts of the planner that only residency*.cpp use.

/// The launches of a step of `tokens` tokens, with times from the measured speeds: streamed units
/// cut as the plan's blocks are, others whole. Empty where a speed that it needs is not measured;
/// flop/s are needed from `tokens` > plan.shape.sequences on (below, reading is what takes time).
std::optional<std::vector<SimLaunch>> launches_of(const ResidencyRequest& request,
                                                  const ResidencyPlan& plan, std::int32_t tokens);

/// How the plan's sweeps are simulated.
SimSettings sim_settings(const ResidencyRequest& request, const ResidencyPlan& plan);

/// Bytes that each link carries in a decoding sweep, and for how long.
std::vector<LinkUse> link_uses(const ResidencyRequest& request, const ResidencyPlan& plan);

/// File bytes at which the CPU computes a second while the link is in use: memory has to carry
/// both.
double cpu_speed(const ResidencyRequest& request, bool streams);

}  // namespace strata
