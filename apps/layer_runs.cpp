#include "apps/layer_runs.h"

#include <fmt/format.h>

namespace strata::apps {
namespace {

void add(LayerRuns::Runs& runs, std::int32_t layer) {
  if (!runs.empty() && runs.back().second + 1 == layer)
    runs.back().second = layer;
  else
    runs.emplace_back(layer, layer);
}

void add_text(std::string& text, const char* what, const LayerRuns::Runs& runs) {
  for (const auto& run : runs) {
    text += text.empty() ? "" : ", ";
    text += fmt::format("{}{}-{}", &run == &runs.front() ? what : "", run.first, run.second);
  }
}

}  // namespace

LayerRuns layer_runs(const Placement& placement, const Device& device) {
  LayerRuns runs;
  for (const PlacedPart& part : placement) {
    if (part.device != &device) continue;
    for (std::int32_t layer = part.first_layer; layer < part.first_layer + part.layers; ++layer) {
      const LayerPart half = part.part_of(layer);
      add(half == LayerPart::whole       ? runs.whole
          : half == LayerPart::attention ? runs.attention
                                         : runs.feed_forward,
          layer);
    }
  }
  return runs;
}

std::int32_t count_layers(const LayerRuns::Runs& runs) {
  std::int32_t layers = 0;
  for (const auto& [first, last] : runs) layers += last - first + 1;
  return layers;
}

std::string runs_text(const LayerRuns& runs) {
  std::string text;
  add_text(text, "layers ", runs.whole);
  add_text(text, "attention of layers ", runs.attention);
  add_text(text, "feed-forward of layers ", runs.feed_forward);
  return text;
}

}  // namespace strata::apps
