#pragma once

#include <string>
#include <utility>
#include <vector>

#include "runtime/engine/placement.h"

namespace strata::apps {

/// What a device computes of a model's layers, as runs of them, first and last.
struct LayerRuns {
  using Runs = std::vector<std::pair<std::int32_t, std::int32_t>>;
  Runs whole;
  Runs attention;     ///< of these another device has the feed-forward half
  Runs feed_forward;  ///< of these another device has the attention
};

LayerRuns layer_runs(const Placement& placement, const Device& device);

/// How many layers runs hold.
std::int32_t count_layers(const LayerRuns::Runs& runs);

/// "layers 0-1, 6-7, attention of layers 2-5"; empty where there are none.
std::string runs_text(const LayerRuns& runs);

}  // namespace strata::apps
