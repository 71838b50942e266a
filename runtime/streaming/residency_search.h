#pragma once

#include <limits>
#include <optional>

#include "runtime/streaming/residency_place.h"

namespace strata {

// Parts of the planner that only residency*.cpp use.

/// A plan that fits, and what it costs: seconds of a typical request (latency) or of a token
/// (throughput); streamed bytes where speeds are not measured.
struct CostedPlan {
  ResidencyPlan plan;
  PlacementChoice choice;
  double cost = std::numeric_limits<double>::infinity();
};

/// Cost of a plan, whose prediction is filled in where speeds allow one.
double cost_of(const ResidencyRequest& request, ResidencyPlan& plan);

/// The cheapest plan for this shape; empty where none fits.
std::optional<CostedPlan> best_plan(const ResidencyRequest& request, const StepShape& shape);

/// The same choice for another shape; empty where it does not fit.
std::optional<CostedPlan> plan_with(const ResidencyRequest& request, const StepShape& shape,
                                    const PlacementChoice& choice);

}  // namespace strata
