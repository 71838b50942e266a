#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "runtime/core/device.h"
#include "runtime/models/model.h"
#include "runtime/streaming/tier.h"

namespace strata {

/// Where the matrices of a layer are that is not all in one tier: by the ops that read matrices, in
/// the order of the layer's program, the tiers of the equal ranges that the op's rows are cut into,
/// which are one where its matrices differ in rows.
using OpTiers = std::vector<std::vector<Tier>>;

/// A run of a model's layers on one device, or of its halves of layers: it may begin with the
/// feed-forward half of its first layer and end with the attention half of its last one. The
/// devices outlive what is placed on them.
struct PlacedPart {
  Device* device = nullptr;
  std::int32_t first_layer = 0;
  std::int32_t layers = 0;  ///< those of which it has one half only counted
  /// Where the matrices of each of its layers are, and then, in the last part, the output matrix:
  /// device, host or streamed. Empty: all stay on the device.
  std::vector<Tier> tiers;
  /// The experts of its layers are where the rest of them is, also where
  /// RunnerOptions::expert_slots brings those of other parts when they are chosen: what the CPU
  /// computes for another device.
  bool experts_stay = false;
  /// Empty, or by entry of `tiers`: not empty where only a part of the layer streams, whose tier is
  /// then one that streams.
  std::vector<OpTiers> ops = {};
  bool begins_inside = false;  ///< the first layer's attention is in the part before
  bool ends_inside = false;    ///< the last layer's feed-forward half is in the part behind

  /// What it computes of a layer of it.
  LayerPart part_of(std::int32_t layer) const {
    if (begins_inside && layer == first_layer) return LayerPart::feed_forward;
    if (ends_inside && layer == first_layer + layers - 1) return LayerPart::attention;
    return LayerPart::whole;
  }
  /// How many layers have their attention, and so their KV cache, here.
  std::int32_t cached_layers() const { return layers - (begins_inside ? 1 : 0); }
  const OpTiers& ops_of(std::int32_t layer) const {
    static const OpTiers kAll;
    return ops.empty() ? kAll : ops[static_cast<std::size_t>(layer - first_layer)];
  }
  Tier tier_of(std::int32_t layer) const {
    return tiers.empty() ? Tier::device : tiers[static_cast<std::size_t>(layer - first_layer)];
  }
};

/// Where a model computes: parts in the order of the layers, every layer in one, or in two that
/// follow each other and share its halves; a device may have several. The first part's device looks
/// up the embeddings, and may have no layer; the last one's makes the logits, and may have none
/// either.
using Placement = std::vector<PlacedPart>;

/// The devices of a placement, each once, in the order in which they come.
std::vector<Device*> devices_of(const Placement& placement);

/// Devices by half: of each layer the one of its attention and that of its feed-forward half, and
/// last that of the output.
using HalfDevices = std::vector<Device*>;
HalfDevices half_devices(const Placement& placement, std::int32_t layers);
/// The placement with the fewest parts, none of whose weights stream.
Placement place_halves(const HalfDevices& halves);

/// All of the model on one device.
Placement place_whole(const Model& model, Device& device);

/// The last `gpu_layers` of the model's layers on `gpus`, in shares of their free memory, the rest
/// on `cpu`, as llama.cpp's -ngl counts them: the output is one of them and goes to a GPU first.
/// More than there are means all. With 0, or without GPUs, all is on the CPU.
Placement place_layers(const Model& model, std::span<Device* const> gpus, Device& cpu,
                       std::int64_t gpu_layers);

}  // namespace strata
