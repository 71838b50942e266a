#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "apps/load.h"

namespace strata::apps {

/// What a prediction of a model that is resident rests on.
struct ResidentPrediction {
  double bytes_per_token = 0;
  double read_bytes_per_second = 0;  ///< of the device that computes most; 0: not measured
};

/// Adds to the JSON object of `strata plan` where everything is and what moves: "tiers", "stream",
/// "links", "manual_flags", "notes", and in "prediction" tokens/s, the link that binds and waiting
/// times. What was not measured is null.
void add_residency(nlohmann::ordered_json& object, const PlannedModel& planned,
                   const ResidentPrediction& resident);

/// The same as lines of text.
std::string residency_text(const PlannedModel& planned);

}  // namespace strata::apps
