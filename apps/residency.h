#pragma once

#include <optional>

#include "apps/devices.h"
#include "runtime/engine/residency_request.h"

namespace strata::apps {

/// The rules of -ot, --cpu-moe and --n-cpu-moe, in this order of precedence.
std::vector<TensorOverride> asked_overrides(const cli::Arguments& arguments, const Model& model);

/// Where the user leaves it open what is streamed.
struct ResidencyQuestion {
  const Model& model;
  ChosenDevices& chosen;
  MemoryLimits limits;
  RunnerOptions options;
  const OverriddenLayers& overridden;
  bool context_asked = false;
  bool max_tokens_asked = false;
  std::int64_t least_context = 0;  ///< tokens that must fit
};

/// A plan of where everything is, and what it was made from. Refers to the model and the devices.
struct Residency {
  ResidencyRequest request;
  ResidencyPlan plan;
  RunnerOptions wanted;  ///< before the plan shrank them
  Device* device = nullptr;
  Device* host = nullptr;  ///< the CPU
};

/// Measures the links, which takes about a second, and plans. Throws Error{does_not_fit} with the
/// numbers where no plan fits, or where several GPUs are chosen.
Residency plan_streaming(const ResidencyQuestion& question);

/// The same again with less of the device's memory, which it refused.
void plan_smaller(Residency& residency);

/// What a Runner is given for the plan; `options` become the plan's.
PlacedModel placed_residency(const Residency& residency, const Model& model,
                             RunnerOptions& options);

}  // namespace strata::apps
