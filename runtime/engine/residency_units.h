#pragma once

#include <cstdint>
#include <vector>

#include "runtime/engine/program_weights.h"
#include "runtime/engine/tensor_overrides.h"
#include "runtime/streaming/residency.h"

namespace strata {

// What a model is made of, as the planner sees it: parts that only residency_request.cpp uses.

using LayerSet = std::vector<bool>;  // by layer

/// What the user gives to the CPU.
struct GivenToCpu {
  LayerSet attention;
  LayerSet feed_forward;  ///< with all experts
  bool output = false;

  bool whole(std::int32_t layer) const {
    return attention[static_cast<std::size_t>(layer)] &&
           feed_forward[static_cast<std::size_t>(layer)];
  }
  /// It and the device have a half each.
  bool splits(std::int32_t layer) const {
    return attention[static_cast<std::size_t>(layer)] !=
           feed_forward[static_cast<std::size_t>(layer)];
  }
  bool splits_any() const { return attention != feed_forward; }
};
GivenToCpu given_to_cpu(const Model& model, const OverriddenLayers& overridden);

/// All of these matrices as one unit.
PlanUnit unit_of(const ProgramWeights& weights, std::int32_t layer, UnitPart part);

/// A layer, or a half of it, with all of its experts, as the CPU computes it for another device.
PlanUnit unit_with_experts(const Model& model, const WeightReader& reader, std::int32_t layer,
                           LayerPart part);

/// What is placed as one is at most so large: small beside the model, so that what streams can be
/// spread evenly, but not so small that copying it and computing with it take longer than its bytes
/// do. 0: layers are.
std::uint64_t piece_bytes(const Model& model, const WeightReader& reader, bool unified);

/// The model's units, in the order of execution, those given to the CPU forced there. Of a layer
/// with experts a unit has what every token uses, unless the CPU computes it. A device of its own
/// memory keeps some of a layer's matrices and streams the others; where memory is unified (`piece`
/// 0) what streams is computed in the file's layout, which is the layer's (Stage), and the CPU
/// computes everything: what is given to it as a whole stays in memory.
std::vector<PlanUnit> make_units(const Model& model, const WeightReader& reader,
                                 std::uint64_t piece, const GivenToCpu& given);

}  // namespace strata
