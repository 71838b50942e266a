#pragma once

#include <random>

#include "runtime/engine/program_weights.h"
#include "tests/streamed/streamed_models.h"

namespace strata::test {

/// How many pieces of at most about `piece_bytes` each op of a layer can be cut into; of the output
/// for the number after the last layer.
inline std::vector<std::size_t> pieces_of_ops(const Model& model, const WeightReader& reader,
                                              std::int32_t layer, std::uint64_t piece_bytes) {
  const bool output = layer == model.config().layers;
  std::vector<std::size_t> pieces;
  for (const OpMatrices& op : (output ? reader.output() : reader.layer(layer, false)).ops)
    pieces.push_back(cut_op(op, piece_bytes).size());
  return pieces;
}

/// A placement of all layers and the output on `device`, whose ops, and their pieces, are in tiers
/// by chance. The head is the CPU's.
inline Placement place_parts(const Model& model, Device& cpu, Device& device,
                             std::uint64_t piece_bytes, unsigned seed) {
  const WeightReader reader(model, device, streamed_options().programs);
  std::mt19937 random(seed);
  const auto any_tier = [&] {
    return std::array{Tier::device, Tier::host, Tier::streamed}[random() % 3];
  };
  const auto layers = static_cast<std::int32_t>(model.config().layers);
  PlacedPart part{&device, 0, layers, {}};
  for (std::int32_t layer = 0; layer <= layers; ++layer) {
    part.tiers.push_back(Tier::streamed);
    OpTiers& ops = part.ops.emplace_back();
    for (const std::size_t pieces : pieces_of_ops(model, reader, layer, piece_bytes)) {
      std::vector<Tier>& tiers = ops.emplace_back();
      for (std::size_t i = 0; i < pieces; ++i) tiers.push_back(any_tier());
    }
  }
  return {{&cpu, 0, 0, {}}, part};
}

}  // namespace strata::test
