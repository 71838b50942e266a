#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "runtime/core/device.h"
#include "runtime/models/model.h"

namespace strata {

/// A rule of -ot: tensors in whose name (in the file) the regular expression is found belong to the
/// device.
struct TensorOverride {
  std::string pattern;
  DeviceId device;
};

/// Where rules put parts of a model. A layer is computed on one device, so all of it goes where its
/// named tensors go.
struct OverriddenLayers {
  std::vector<std::optional<DeviceId>> layers;  ///< by layer, the output matrix last; empty: free
  /// What the user should know: patterns that match nothing, layers that follow some tensors.
  std::vector<std::string> notes;

  bool any() const;
};

/// Applies the rules to the names of the model's tensors ("blk.3.ffn_up.weight"), the first that
/// matches counts, as in llama.cpp. Rules for embeddings change nothing: their rows are looked up
/// where the first layer is computed. Throws Error{usage} that begins with -ot for a pattern that
/// is no regular expression (PCRE2) or takes too long to match, and where rules pull the tensors of
/// one layer to several devices.
OverriddenLayers override_layers(const Model& model, std::span<const TensorOverride> rules);

}  // namespace strata
