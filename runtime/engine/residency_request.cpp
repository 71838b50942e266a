#include "runtime/engine/residency_request.h"

#include <algorithm>
#include <map>
#include <memory>
#include <utility>

#include "runtime/core/error.h"
#include "runtime/engine/block_choices.h"
#include "runtime/engine/kv_cache.h"
#include "runtime/engine/program_weights.h"
#include "runtime/engine/residency_units.h"
#include "runtime/engine/stage_weights.h"

namespace strata {
namespace {

// The sizes that do not depend on how many slots there are.
void add_layer(ExpertSlots& experts, const Model& model, const WeightReader& reader,
               std::int32_t layer) {
  const PlanUnit whole = unit_of(reader.layer(layer, false), layer, UnitPart::layer);
  const PlanUnit shared = unit_of(reader.layer(layer, true), layer, UnitPart::shared);
  experts.all += model.config().experts;
  experts.token += model.config().experts_used;
  experts.file_bytes += whole.file_bytes - shared.file_bytes;
  experts.device_bytes += whole.device_bytes - shared.device_bytes;
  experts.flops_per_token += whole.flops_per_token - shared.flops_per_token;
  ++experts.layers;
}

// Sizes from the very code that will make the slots, for the layers that the CPU does not compute.
ExpertSlots expert_slots_of(const Model& model, Device& device, const WeightReader& reader,
                            const RunnerOptions& options, const LayerSet& on_cpu) {
  ExpertSlots experts;
  WeightOptions with_slots{options.programs.pack_weights, options.weight_block_rows, {}, 1};
  const auto weights = std::make_shared<StageWeights>(model, device, with_slots);
  for (std::int32_t layer = 0; layer < static_cast<std::int32_t>(model.config().layers); ++layer) {
    if (on_cpu[static_cast<std::size_t>(layer)] || !reader.has_experts(layer)) continue;
    weights->bind(reader.program(layer), layer, Tier::device);
    add_layer(experts, model, reader, layer);
  }
  if (experts.all == 0) return experts;
  experts.launches = weights->experts().launches();
  // What is pinned is the device's where that has the host's memory.
  const bool unified = device.info().unified;
  const auto memory = [weights](std::int64_t slots, std::int64_t kept) {
    ExpertOptions asked = weights->expert_options();
    asked.slots = slots;
    asked.kept = kept;
    return weights->experts().memory(asked);
  };
  const std::uint64_t fixed = unified ? memory(1, 0).pinned : 0;
  experts.pinned = [memory, unified](std::int64_t kept) {
    return unified ? 0 : memory(1, kept).pinned;
  };
  experts.most_kept = [weights](std::uint64_t bytes) {
    return weights->experts().most_kept(weights->expert_options(), bytes);
  };
  experts.bytes = [memory, fixed](std::int64_t slots) { return memory(slots, 0).device + fixed; };
  experts.most = [weights, fixed](std::uint64_t bytes) {
    const std::uint64_t room = bytes - std::min(bytes, fixed);
    return weights->experts().most_slots(weights->expert_options(), room);
  };
  experts.hit_rate = [weights](std::int64_t slots) {
    ExpertOptions asked = weights->expert_options();
    asked.slots = slots;
    return weights->experts().uniform_hit_rate(asked);
  };
  return experts;
}

// Where a layer is, or its halves one after the other; last the output matrix.
struct PlacedLayer {
  std::int32_t layer = 0;
  LayerPart part = LayerPart::whole;
  Tier tier = Tier::device;
  OpTiers ops = {};  ///< as in PlacedPart
};

LayerPart part_of(const PlanUnit& unit) {
  return unit.part == UnitPart::attention      ? LayerPart::attention
         : unit.part == UnitPart::feed_forward ? LayerPart::feed_forward
                                               : LayerPart::whole;
}

// A layer whose parts are in several tiers streams. What streams is cut into units within its
// pieces, as was planned.
std::vector<PlacedLayer> placed_layers(std::span<const PlanUnit> units,
                                       const std::vector<Tier>& tiers) {
  std::vector<PlacedLayer> placed;
  bool mixed = false;
  for (std::size_t i = 0; i < units.size(); ++i) {
    const PlanUnit& unit = units[i];
    const LayerPart part = part_of(unit);
    if (placed.empty() || placed.back().layer != unit.layer || placed.back().part != part) {
      placed.push_back({unit.layer, part, tiers[i]});
      mixed = false;
    }
    PlacedLayer& layer = placed.back();
    if (unit.op >= 0) {
      layer.ops.resize(static_cast<std::size_t>(unit.op) + 1);
      layer.ops.back().push_back(tiers[i]);
    }
    mixed = mixed || tiers[i] != layer.tier;
    if (mixed) layer.tier = Tier::streamed;
  }
  for (PlacedLayer& layer : placed)
    if (layer.tier == Tier::device) layer.ops.clear();
  return placed;
}

// The head of a model that streams to a device of its own memory is the CPU's: rows of the
// embeddings are looked up in the mapping. Halves of a layer that come to one device are the CPU's.
Placement placement_of(Device& device, Device* cpu, std::span<const PlacedLayer> layers) {
  Placement placement;
  const PlacedLayer& output = layers.back();
  if (!device.info().unified && cpu != nullptr) placement.push_back({cpu, 0, 0, {}});
  const auto place = [](const PlacedLayer& layer, PlacedPart& part) {
    part.tiers.push_back(layer.tier);
    part.ops.push_back(layer.ops);
  };
  for (const PlacedLayer& layer : layers.first(layers.size() - 1)) {
    const bool on_cpu = layer.tier == Tier::cpu;
    const bool second = layer.part == LayerPart::feed_forward;
    Device* const where = on_cpu ? cpu : &device;
    const bool begins =
        placement.empty() || placement.back().device != where || placement.back().layers == 0;
    if (begins) {
      placement.push_back({where, layer.layer, 0, {}});
      placement.back().begins_inside = second;
      placement.back().experts_stay = on_cpu;
    }
    PlacedPart& part = placement.back();
    if (begins || !second) ++part.layers;
    part.ends_inside = layer.part == LayerPart::attention;
    if (!on_cpu) place(layer, part);
  }
  const bool output_on_cpu = output.tier == Tier::cpu;
  Device* const last = output_on_cpu ? cpu : &device;
  if (placement.back().device != last) placement.push_back({last, output.layer, 0, {}});
  if (!output_on_cpu) place(output, placement.back());
  return placement;
}

// Memory of the device beside weights and cache, for steps of a shape; planned once per shape, as
// the planner asks again and again.
class ComputeBytes {
 public:
  ComputeBytes(const Model& model, Device& device, Device* cpu, const RunnerOptions& options,
               std::span<const PlanUnit> units, bool may_have_file_layout)
      : model_(model),
        device_(device),
        cpu_(cpu),
        options_(options),
        may_have_file_layout_(may_have_file_layout) {
    std::vector<Tier> tiers;
    for (const PlanUnit& unit : units)
      tiers.push_back(unit.forced == Tier::cpu && cpu != nullptr && !device.info().unified
                          ? Tier::cpu
                          : Tier::streamed);
    layers_ = placed_layers(units, tiers);
  }

  std::uint64_t operator()(const StepShape& shape) {
    const auto [found, added] =
        known_.try_emplace({shape.context, shape.max_tokens, shape.sequences});
    if (added) found->second = measure(shape);
    return found->second;
  }

 private:
  std::uint64_t measure(const StepShape& shape) const {
    RunnerOptions options = options_;
    options.context = shape.context;
    options.programs.max_tokens = shape.max_tokens;
    options.max_sequences = shape.sequences;
    options.stream.file_layout = false;
    std::uint64_t bytes = measure_with(options);
    if (!may_have_file_layout_) return bytes;
    options.stream.file_layout = true;
    return std::max(bytes, measure_with(options));
  }

  // Whatever streams.
  std::uint64_t measure_with(const RunnerOptions& options) const {
    const Placement placement = placement_of(device_, cpu_, layers_);
    const std::vector<Device*> devices = devices_of(placement);
    const auto found = std::ranges::find(devices, &device_);
    if (found == devices.end()) return 0;  // the user gives all to the CPU
    const auto at = static_cast<std::size_t>(found - devices.begin());
    return Runner::plan_memory(model_, placement, options)[at].compute;
  }

  const Model& model_;
  Device& device_;
  Device* cpu_;
  RunnerOptions options_;
  std::vector<PlacedLayer> layers_;
  bool may_have_file_layout_;
  std::map<std::tuple<std::int64_t, std::int32_t, std::int32_t>, std::uint64_t> known_;
};

// Experts that come one by one are packed with what else their layers stream.
bool may_stream_in_file_layout(const ResidencyRequest& request, const ResidencyWish& wish) {
  return !request.unified && request.experts.all == 0 && wish.options.programs.pack_weights &&
         wish.links.file_layout_read > 0;
}

}  // namespace

ResidencyRequest make_residency_request(const Model& model, Device& device, Device* cpu,
                                        const ResidencyWish& wish) {
  RunnerOptions options = wish.options;
  const GivenToCpu given = given_to_cpu(model, wish.overridden);
  // Where memory is unified nothing is computed elsewhere.
  const LayerSet on_cpu =
      device.info().unified ? LayerSet(given.feed_forward.size(), false) : given.feed_forward;
  const auto weights =
      std::make_shared<const WeightReader>(model, device, options.programs, given.splits_any());
  const WeightReader& reader = *weights;
  ResidencyRequest request;
  if (model.config().experts > 0)
    request.experts = expert_slots_of(model, device, reader, options, on_cpu);
  // For what steps with experts that come need beside them.
  options.expert_slots = request.experts.all > 0 ? 1 : 0;
  request.device = to_string(device.info().id);
  request.unified = device.info().unified;
  const std::uint64_t piece = piece_bytes(model, reader, request.unified);
  request.units = make_units(model, reader, piece, given);
  const bool file_layout = may_stream_in_file_layout(request, wish);
  request.blocks = block_choices(device, streaming_ops(model, reader, piece, given), file_layout);
  request.budgets = wish.budgets;
  request.links = wish.links;
  request.cpu_may_compute = wish.cpu_may_compute && cpu != nullptr && cpu != &device;
  if (request.cpu_may_compute && request.experts.all > 0) {
    for (std::int32_t layer = 0; layer < static_cast<std::int32_t>(model.config().layers); ++layer)
      request.whole_layers.push_back(unit_with_experts(model, reader, layer, LayerPart::whole));
    request.experts_without = [&model, &device, weights, options,
                               on_cpu](const std::vector<std::int32_t>& layers) {
      LayerSet without = on_cpu;
      for (const std::int32_t layer : layers) without[static_cast<std::size_t>(layer)] = true;
      return expert_slots_of(model, device, *weights, options, without);
    };
  }
  request.kv_bytes = [&model, kv = options.programs.kv](const StepShape& shape) {
    return KvCache::bytes(model.config(), kv, {shape.context, shape.sequences}, 1);
  };
  request.compute_bytes = [compute = std::make_shared<ComputeBytes>(model, device, cpu, options,
                                                                    request.units, file_layout)](
                              const StepShape& shape) { return (*compute)(shape); };
  request.sequences = options.max_sequences;
  request.context = options.context;
  request.context_asked = wish.context_asked;
  request.context_step = options.programs.kv.page_tokens;
  request.max_tokens = options.programs.max_tokens;
  request.max_tokens_asked = wish.max_tokens_asked;
  return request;
}

PlannedResidency apply_residency(const ResidencyRequest& request, const ResidencyPlan& plan,
                                 Device& device, Device* cpu, const RunnerOptions& options) {
  PlannedResidency planned{placement_of(device, cpu, placed_layers(request.units, plan.tiers)),
                           options};
  planned.options.context = plan.shape.context;
  planned.options.max_sequences = plan.shape.sequences;
  planned.options.programs.max_tokens = plan.shape.max_tokens;
  planned.options.expert_slots = plan.expert_slots;
  planned.options.experts_kept = plan.experts_kept;
  if (plan.block.target_bytes == 0) return planned;
  StreamSettings& stream = planned.options.stream;
  stream.unit_bytes = plan.block.target_bytes;
  stream.file_layout = plan.block.file_layout;
  stream.slots = std::max(plan.slots, 2);
  stream.ring_slots = std::max(plan.ring_slots, 2);
  stream.reader_threads = request.reader_threads;
  return planned;
}

}  // namespace strata
