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

/// Where rules put the halves of a layer; empty: anywhere.
struct OverriddenLayer {
  std::optional<DeviceId> attention;     ///< with the KV cache
  std::optional<DeviceId> feed_forward;  ///< with all experts
};

/// Where rules put parts of a model. Half of a layer is computed on one device, so all of it goes
/// where its named matrices go: norms, biases and routers follow them.
struct OverriddenLayers {
  std::vector<OverriddenLayer> layers;
  std::optional<DeviceId> output;
  /// What the user should know: patterns that match nothing or nothing but what follows, halves
  /// that follow some of their matrices.
  std::vector<std::string> notes;

  bool any() const;
};

/// Applies the rules to the names of the model's tensors ("blk.3.ffn_up.weight"), the first that
/// matches counts, as in llama.cpp. Rules for embeddings change nothing: their rows are looked up
/// where the first layer is computed. Throws Error{usage} that begins with -ot for a pattern that
/// is no regular expression (PCRE2) or takes too long to match, and where rules pull the matrices
/// of one half to several devices.
OverriddenLayers override_layers(const Model& model, std::span<const TensorOverride> rules);

/// Rules that put the same there, as -ot takes them; empty: nothing is put anywhere.
std::string override_text(const OverriddenLayers& overridden, bool hugging_face);

}  // namespace strata
