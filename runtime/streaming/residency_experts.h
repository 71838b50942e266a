#pragma once

#include <optional>

#include "runtime/streaming/residency.h"

namespace strata {

// Parts of the planner that only residency*.cpp use.

/// The plan for the units alone, with texts; experts that come are not looked at. Empty where none
/// fits.
std::optional<ResidencyPlan> plan_units(const ResidencyRequest& request);
/// The same; throws Error{does_not_fit} with the numbers where none fits.
ResidencyPlan require_units_plan(const ResidencyRequest& request);

/// The plan for units, and for experts that come one by one. Throws as plan_residency() does.
ResidencyPlan plan_with_experts(const ResidencyRequest& request);

}  // namespace strata
