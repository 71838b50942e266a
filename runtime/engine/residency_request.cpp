#include "runtime/engine/residency_request.h"

#include <algorithm>
#include <map>
#include <memory>
#include <utility>

#include "runtime/core/error.h"
#include "runtime/engine/block_choices.h"
#include "runtime/engine/kv_cache.h"
#include "runtime/engine/program_weights.h"
#include "runtime/engine/stage_weights.h"

namespace strata {
namespace {

using LayerSet = std::vector<bool>;  // by layer

PlanUnit unit_of(const ProgramWeights& weights, std::int32_t layer, UnitPart part) {
  PlanUnit unit;
  unit.layer = layer;
  unit.part = part;
  unit.small_bytes = weights.small_bytes;
  for (const OpMatrices& op : weights.ops) {
    unit.file_bytes += op.file_bytes;
    unit.device_bytes += op.packed_bytes;
    unit.flops_per_token += op.flops;
    unit.ops.push_back(op.file_bytes);
    unit.copies.push_back(static_cast<int>(op.matrices.size()));
  }
  unit.cpu_bytes = unit.device_bytes + unit.small_bytes;
  return unit;
}

// The same by op, large ones in pieces.
void add_parts(const ProgramWeights& weights, std::int32_t layer, UnitPart part,
               std::uint64_t piece_bytes, std::vector<PlanUnit>& units) {
  std::uint64_t small_bytes = weights.small_bytes;
  for (std::size_t op = 0; op < weights.ops.size(); ++op) {
    const std::vector<OpMatrices> pieces = cut_op(weights.ops[op], piece_bytes);
    for (std::size_t i = 0; i < pieces.size(); ++i) {
      PlanUnit unit = unit_of({{pieces[i]}, small_bytes}, layer, part);
      unit.op = static_cast<std::int32_t>(op);
      unit.piece = static_cast<std::int32_t>(i);
      unit.pieces = static_cast<std::int32_t>(pieces.size());
      units.push_back(std::move(unit));
      small_bytes = 0;
    }
  }
}

// What is placed as one is at most so large: small beside the model, so that what streams can be
// spread evenly, but not so small that copying it and computing with it take longer than its bytes
// do. 0: layers are.
std::uint64_t piece_bytes(const Model& model, const WeightReader& reader, bool unified) {
  if (unified) return 0;
  constexpr std::uint64_t kLeast = std::uint64_t{4} << 20;
  constexpr std::uint64_t kPieces = 128;
  std::uint64_t all = 0;
  for (const OpMatrices& op : reader.output().ops) all += op.file_bytes;
  for (std::int32_t layer = 0; layer < static_cast<std::int32_t>(model.config().layers); ++layer)
    for (const OpMatrices& op : reader.layer(layer, true).ops) all += op.file_bytes;
  return std::max(kLeast, all / kPieces);
}

// A layer with all of its experts, as the CPU computes it for another device.
PlanUnit whole_layer(const Model& model, const WeightReader& reader, std::int32_t layer) {
  PlanUnit whole = unit_of(reader.layer(layer, false), layer, UnitPart::layer);
  if (!reader.has_experts(layer)) return whole;
  const PlanUnit shared = unit_of(reader.layer(layer, true), layer, UnitPart::shared);
  const double experts = static_cast<double>(whole.file_bytes - shared.file_bytes);
  const double used = static_cast<double>(model.config().experts_used) /
                      static_cast<double>(model.config().experts);
  whole.used_per_token = (static_cast<double>(shared.file_bytes) + used * experts) /
                         static_cast<double>(whole.file_bytes);
  return whole;
}

// The layers that the user gives to the CPU for another device.
LayerSet given_to_cpu(const Model& model, const Device& device,
                      const OverriddenLayers& overridden) {
  LayerSet given(static_cast<std::size_t>(model.config().layers), false);
  if (device.info().unified) return given;
  for (std::size_t i = 0; i < given.size() && i < overridden.layers.size(); ++i)
    given[i] = overridden.layers[i] && overridden.layers[i]->backend == BackendKind::cpu;
  return given;
}

// Of a layer with experts a unit has what every token uses, unless the CPU computes it. A device of
// its own memory keeps some of a layer's matrices and streams the others; where memory is unified
// (`piece` 0) what streams is computed in the file's layout, which is the layer's (Stage).
std::vector<PlanUnit> units_of(const Model& model, const WeightReader& reader, std::uint64_t piece,
                               const OverriddenLayers& overridden, const LayerSet& on_cpu) {
  const auto layers = static_cast<std::int32_t>(model.config().layers);
  std::vector<PlanUnit> units;
  const auto add = [&](const ProgramWeights& weights, std::int32_t layer, UnitPart part) {
    if (piece == 0 || weights.ops.empty())
      units.push_back(unit_of(weights, layer, part));
    else
      add_parts(weights, layer, part, piece, units);
  };
  for (std::int32_t layer = 0; layer < layers; ++layer) {
    if (on_cpu[static_cast<std::size_t>(layer)])
      units.push_back(whole_layer(model, reader, layer));
    else
      add(reader.layer(layer, true), layer,
          reader.has_experts(layer) ? UnitPart::shared : UnitPart::layer);
  }
  add(reader.output(), layers, UnitPart::output);
  for (PlanUnit& unit : units) {
    const auto layer = static_cast<std::size_t>(unit.layer);
    if (layer < overridden.layers.size() && overridden.layers[layer] &&
        overridden.layers[layer]->backend == BackendKind::cpu)
      unit.forced = Tier::cpu;
  }
  return units;
}

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

// Where the layers are, and last the output matrix.
struct LayerTiers {
  std::vector<Tier> tiers;
  std::vector<OpTiers> ops;  ///< empty, or by layer (PlacedPart)

  bool on_cpu(std::int32_t layer) const {
    return tiers[static_cast<std::size_t>(layer)] == Tier::cpu;
  }
  void place(std::int32_t layer, PlacedPart& part) const {
    part.tiers.push_back(tiers[static_cast<std::size_t>(layer)]);
    if (!ops.empty()) part.ops.push_back(ops[static_cast<std::size_t>(layer)]);
  }
};

// A layer whose parts are in several tiers streams. What streams is cut into units within its
// pieces, as was planned.
LayerTiers layer_tiers(std::span<const PlanUnit> units, const std::vector<Tier>& tiers) {
  const auto all = static_cast<std::size_t>(units.back().layer) + 1;
  LayerTiers found{std::vector<Tier>(all, Tier::device), std::vector<OpTiers>(all)};
  std::vector<bool> seen(all, false);
  std::vector<bool> mixed(all, false);
  for (std::size_t i = 0; i < units.size(); ++i) {
    const auto layer = static_cast<std::size_t>(units[i].layer);
    Tier& tier = found.tiers[layer];
    if (units[i].op >= 0) {
      OpTiers& ops = found.ops[layer];
      ops.resize(static_cast<std::size_t>(units[i].op) + 1);
      ops.back().push_back(tiers[i]);
    }
    mixed[layer] = mixed[layer] || (seen[layer] && tiers[i] != tier);
    seen[layer] = true;
    tier = mixed[layer] ? Tier::streamed : tiers[i];
  }
  for (std::size_t layer = 0; layer < all; ++layer)
    if (found.tiers[layer] == Tier::device) found.ops[layer].clear();
  return found;
}

// The head of a model that streams to a device of its own memory is the CPU's: rows of the
// embeddings are looked up in the mapping.
Placement placement_of(Device& device, Device* cpu, const LayerTiers& where) {
  Placement placement;
  const auto layers = static_cast<std::int32_t>(where.tiers.size()) - 1;
  if (!device.info().unified && cpu != nullptr) placement.push_back({cpu, 0, 0, {}});
  for (std::int32_t first = 0; first < layers;) {
    std::int32_t end = first;
    const bool on_cpu = where.on_cpu(first);
    PlacedPart part{on_cpu ? cpu : &device, first, 0, {}};
    for (; end < layers && where.on_cpu(end) == on_cpu; ++end)
      if (!on_cpu) where.place(end, part);
    part.layers = end - first;
    part.experts_stay = on_cpu;
    placement.push_back(std::move(part));
    first = end;
  }
  const bool output_on_cpu = where.on_cpu(layers);
  Device* const last = output_on_cpu ? cpu : &device;
  if (placement.back().device != last) placement.push_back({last, layers, 0, {}});
  if (!output_on_cpu) where.place(layers, placement.back());
  return placement;
}

// Memory of the device beside weights and cache, for steps of a shape; planned once per shape, as
// the planner asks again and again.
class ComputeBytes {
 public:
  ComputeBytes(const Model& model, Device& device, Device* cpu, const RunnerOptions& options,
               const LayerSet& on_cpu, bool may_have_file_layout)
      : model_(model),
        device_(device),
        cpu_(cpu),
        options_(options),
        on_cpu_(on_cpu),
        may_have_file_layout_(may_have_file_layout) {}

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
    LayerTiers where{std::vector<Tier>(on_cpu_.size() + 1, Tier::streamed), {}};
    for (std::size_t i = 0; i < on_cpu_.size(); ++i)
      if (on_cpu_[i]) where.tiers[i] = Tier::cpu;
    const Placement placement = placement_of(device_, cpu_, where);
    // The device is the last of one or two.
    return Runner::plan_memory(model_, placement, options).back().compute;
  }

  const Model& model_;
  Device& device_;
  Device* cpu_;
  RunnerOptions options_;
  LayerSet on_cpu_;
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
  const auto weights = std::make_shared<const WeightReader>(model, device, options.programs);
  const WeightReader& reader = *weights;
  const LayerSet on_cpu = given_to_cpu(model, device, wish.overridden);
  ResidencyRequest request;
  if (model.config().experts > 0)
    request.experts = expert_slots_of(model, device, reader, options, on_cpu);
  // For what steps with experts that come need beside them.
  options.expert_slots = request.experts.all > 0 ? 1 : 0;
  request.device = to_string(device.info().id);
  request.unified = device.info().unified;
  const std::uint64_t piece = piece_bytes(model, reader, request.unified);
  request.units = units_of(model, reader, piece, wish.overridden, on_cpu);
  const bool file_layout = may_stream_in_file_layout(request, wish);
  request.blocks = block_choices(device, streaming_ops(model, reader, piece), file_layout);
  request.budgets = wish.budgets;
  request.links = wish.links;
  request.cpu_may_compute = wish.cpu_may_compute && cpu != nullptr && cpu != &device;
  if (request.cpu_may_compute && request.experts.all > 0) {
    for (std::int32_t layer = 0; layer < static_cast<std::int32_t>(model.config().layers); ++layer)
      request.whole_layers.push_back(whole_layer(model, reader, layer));
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
  request.compute_bytes =
      [compute = std::make_shared<ComputeBytes>(model, device, cpu, options, on_cpu, file_layout)](
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
  PlannedResidency planned{placement_of(device, cpu, layer_tiers(request.units, plan.tiers)),
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
