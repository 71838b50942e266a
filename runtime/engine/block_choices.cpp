#include "runtime/engine/block_choices.h"

#include <set>

#include "runtime/streaming/streamed_weights.h"

namespace strata {
namespace {

// Sizes of slots for units of about so many bytes, from the very code that will make them.
BlockChoice block_of(Device& device, std::span<const OpMatrices> ops, std::uint64_t target_bytes) {
  const auto memory_with = [&](int slots, int ring_slots) {
    StreamSettings settings;
    settings.unit_bytes = target_bytes;
    settings.slots = slots;
    settings.ring_slots = ring_slots;
    StreamedWeights weights(device, settings);
    for (const OpMatrices& op : ops) weights.add_op(op.matrices, false);
    return weights.memory();
  };
  const FeedMemory two = memory_with(2, 2);
  const FeedMemory three = memory_with(3, 3);
  BlockChoice choice;
  choice.target_bytes = target_bytes;
  choice.host_slot = three.host - two.host;
  choice.device_slot = three.device - two.device;
  choice.packed = two.device - 2 * choice.device_slot;
  return choice;
}

// What the device computes of a layer that the user does not give to the CPU as a whole.
LayerPart part_of_device(const GivenToCpu& given, std::int32_t layer) {
  if (!given.splits(layer)) return LayerPart::whole;
  return given.attention[static_cast<std::size_t>(layer)] ? LayerPart::feed_forward
                                                          : LayerPart::attention;
}

}  // namespace

std::vector<OpMatrices> streaming_ops(const Model& model, const WeightReader& reader,
                                      std::uint64_t piece, const GivenToCpu& given) {
  const bool unified = piece == 0;
  std::vector<ProgramWeights> kinds = {reader.output()};
  for (const LayerKind& kind : model.kinds()) {
    std::set<LayerPart> parts;
    for (const std::int32_t layer : kind.layers) {
      if (given.whole(layer) && !unified) continue;
      const LayerPart part = unified ? LayerPart::whole : part_of_device(given, layer);
      if (parts.insert(part).second) kinds.push_back(reader.layer(layer, true, part));
    }
  }
  std::vector<OpMatrices> ops;
  for (const ProgramWeights& kind : kinds)
    for (const OpMatrices& op : kind.ops)
      for (const OpMatrices& part : cut_op(op, piece > 0 ? piece : op.file_bytes))
        ops.push_back(part);
  return ops;
}

std::vector<BlockChoice> block_choices(Device& device, std::span<const OpMatrices> ops,
                                       bool file_layout) {
  std::vector<BlockChoice> choices;
  BlockChoice before;
  for (std::uint64_t target = std::uint64_t{32} << 20; target >= std::uint64_t{1} << 18;
       target /= 2) {
    BlockChoice choice = block_of(device, ops, target);
    const bool same =
        before.host_slot == choice.host_slot && before.device_slot == choice.device_slot;
    before = choice;
    if (same) continue;
    choices.push_back(choice);
    if (!file_layout || choice.packed == 0) continue;
    choice.packed = 0;
    choice.file_layout = true;
    choices.push_back(choice);
  }
  return choices;
}

}  // namespace strata
