#pragma once

#include <optional>

#include "runtime/engine/runner.h"
#include "runtime/engine/tensor_overrides.h"
#include "runtime/streaming/residency.h"

namespace strata {

/// What a user, and the machine, say about where a model may be.
struct ResidencyWish {
  RunnerOptions options;          ///< context and prompt chunk: wanted
  bool context_asked = false;     ///< by the user: it does not shrink
  bool max_tokens_asked = false;  ///< by the user: the prompt chunk does not grow
  Budgets budgets;
  LinkSpeeds links;
  bool cpu_may_compute = false;  ///< layers may go to the CPU unless they are put elsewhere
  OverriddenLayers overridden;   ///< -ot, --cpu-moe, --n-cpu-moe; may be empty
};

/// The request for plan_residency() that a model on `device` makes, with layers on `cpu` where the
/// wish allows them (null: there is none). Where the device has memory of its own, `cpu` looks up
/// the embeddings, which are not counted then. The request refers to model and device: both outlive
/// it. Throws what planning programs throws.
ResidencyRequest make_residency_request(const Model& model, Device& device, Device* cpu,
                                        const ResidencyWish& wish);

/// What a Runner makes of a plan.
struct PlannedResidency {
  Placement placement;
  RunnerOptions options;
};

/// The placement and the options that carry out `plan`, which was made for this request's model.
PlannedResidency apply_residency(const ResidencyRequest& request, const ResidencyPlan& plan,
                                 Device& device, Device* cpu, const RunnerOptions& options);

}  // namespace strata
