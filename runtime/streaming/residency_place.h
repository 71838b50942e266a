#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "runtime/streaming/residency.h"

namespace strata {

// Parts of the planner that only residency*.cpp use.

/// What a search varies beside the shape.
struct PlacementChoice {
  BlockChoice block;
  int slots = 2;       ///< of the device; where memory is unified, of the staging ring
  int cpu_layers = 0;  ///< beside those that are forced
  int ring_slots = 0;  ///< wanted, where memory is not unified; 0: what is usual
};

/// The budget that a placement passes, by how much.
struct BudgetLack {
  std::string_view budget;  ///< "device", "pinned", "host"
  std::uint64_t need = 0;
  std::uint64_t have = 0;
};

/// A plan without prediction and texts, and what it lacks, if anything. A plan that lacks device
/// memory has only resident what is forced there: it needs the least that this choice can.
struct PlacedUnits {
  ResidencyPlan plan;
  std::optional<BudgetLack> lack;
};

/// Picks the tier of every unit: the CPU's layers, then as much resident as fits, the densest
/// first, then what is pinned; the others come from the file.
PlacedUnits place_units(const ResidencyRequest& request, const StepShape& shape,
                        const PlacementChoice& choice);

/// How many layers may go to the CPU.
int layers_for_cpu(const ResidencyRequest& request);

/// The user's wish for a unit. Where memory is unified there is one kind of it.
std::optional<Tier> forced_tier(const ResidencyRequest& request, std::size_t unit);

/// Share of a unit's bytes that a step of so many tokens reads: independent choices of experts.
double used_share(const PlanUnit& unit, std::int32_t tokens);

}  // namespace strata
