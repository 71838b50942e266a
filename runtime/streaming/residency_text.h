#pragma once

#include <string>

#include "runtime/streaming/residency_place.h"

namespace strata {

// Parts of the planner that only residency*.cpp use.

/// Fills in notes and manual flags of a finished plan.
void describe_plan(const ResidencyRequest& request, ResidencyPlan& plan);

/// Throws Error{does_not_fit} with what the smallest plan needs, what there is, and what to try.
[[noreturn]] void refuse(const ResidencyRequest& request, const PlacedUnits& smallest);

}  // namespace strata
