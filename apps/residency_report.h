#pragma once

#include <nlohmann/json.hpp>
#include <span>
#include <string>

#include "apps/load.h"

namespace strata::apps {

/// What a device reads of a model that is resident: the prediction rests on it, as devices take
/// turns.
struct ResidentReads {
  const Device* device = nullptr;
  double bytes_per_token = 0;        ///< of weights
  double kv_bytes_per_token = 0;     ///< of the cache, for each token in it
  double read_bytes_per_second = 0;  ///< 0: not measured

  double seconds() const { return seconds(0); }
  double seconds(std::int64_t context) const {
    const double bytes = bytes_per_token + kv_bytes_per_token * static_cast<double>(context);
    return read_bytes_per_second > 0 ? bytes / read_bytes_per_second : 0;
  }
};
/// A token a second, with so many tokens in the cache; 0 where not all is measured.
double tokens_per_second(std::span<const ResidentReads> reads, std::int64_t context);

/// Adds to the JSON object of `strata plan` where everything is and what moves: "tiers", "stream",
/// "links", "manual_flags", "notes", and in "prediction" tokens/s, the link that binds and waiting
/// times. What was not measured is null.
void add_residency(nlohmann::ordered_json& object, const PlannedModel& planned,
                   std::span<const ResidentReads> resident);

/// The same as lines of text.
std::string residency_text(const PlannedModel& planned);

}  // namespace strata::apps
