#include "runtime/engine/residency_request.h"

#include <algorithm>
#include <map>
#include <memory>
#include <set>
#include <utility>

#include "runtime/core/error.h"
#include "runtime/engine/kv_cache.h"
#include "runtime/engine/programs.h"
#include "runtime/engine/stage_weights.h"
#include "runtime/graph/executor.h"
#include "runtime/streaming/streamed_weights.h"

namespace strata {
namespace {

// What an op reads of the file in one launch, if its matrices are streamed.
struct OpMatrices {
  std::vector<StreamedMatrix> matrices;
  std::uint64_t file_bytes = 0;
  std::uint64_t packed_bytes = 0;  ///< in the kernels' layout
  double flops = 0;                ///< of one token
};

// A program's weights as the planner sees them.
struct ProgramWeights {
  std::vector<OpMatrices> ops;
  std::uint64_t small_bytes = 0;
};

/// Reads plans for one token: what a device would keep or stream of each layer.
class WeightReader {
 public:
  WeightReader(const Model& model, Device& device, const ProgramOptions& options)
      : model_(model), programs_(plan(model, device, options)), unified_(device.info().unified) {}

  const Plan& program(std::int32_t layer) const {
    const std::vector<LayerKind>& kinds = model_.kinds();
    std::size_t kind = 0;  // every layer is of one
    while (std::ranges::find(kinds[kind].layers, layer) == kinds[kind].layers.end()) ++kind;
    return bucket().layers[kind];
  }
  /// `shared`: without the experts, which come one by one.
  ProgramWeights layer(std::int32_t layer, bool shared) const {
    return weights(program(layer), layer, shared);
  }
  ProgramWeights output() const { return weights(bucket().tail, -1, false); }
  bool has_experts(std::int32_t layer) const { return !expert_launches(program(layer)).empty(); }

 private:
  static Programs plan(const Model& model, Device& device, ProgramOptions options) {
    options.max_tokens = 1;
    return plan_programs(model, device, options);
  }
  const ProgramBucket& bucket() const { return programs_.buckets.front(); }

  ProgramWeights weights(const Plan& plan, std::int32_t layer, bool shared) const {
    ProgramWeights result;
    std::set<std::int32_t> multiplied;  // slots
    if (shared)
      for (const std::vector<std::int32_t>& slots : expert_launches(plan))
        multiplied.insert(slots.begin(), slots.end());
    for (const PlannedNode& node : plan.nodes) {
      OpMatrices op;
      for (const MatmulWeight& matrix : matmul_weights(node.op.desc.kind())) {
        const std::int32_t value = node.in[static_cast<std::size_t>(matrix.weight)];
        const std::int32_t slot = plan.values[static_cast<std::size_t>(value)].slot;
        if (multiplied.insert(slot).second)
          add(op, plan.weights[static_cast<std::size_t>(slot)], layer);
      }
      if (op.file_bytes == 0) continue;
      op.flops = static_cast<double>(op_cost(node.op.desc, 0).flops);
      result.ops.push_back(std::move(op));
    }
    for (std::size_t slot = 0; slot < plan.weights.size(); ++slot)
      if (!multiplied.contains(static_cast<std::int32_t>(slot)))
        result.small_bytes += resident_bytes(plan.weights[slot].desc);
    return result;
  }

  void add(OpMatrices& op, const WeightSlot& slot, std::int32_t layer) const {
    const WeightOrigin origin = *model_.weight(layer, slot.name);
    // What streams to a device of unified memory is computed as it was read (Stage).
    const Layout streamed = unified_ ? Layout::rows : slot.desc.layout;
    // What lies in pieces, experts of Hugging Face files, is streamed one by one or not at all.
    if (!origin.in_pieces()) op.matrices.push_back({origin.desc, streamed, range_of(origin)});
    op.file_bytes += origin.bytes();
    op.packed_bytes += resident_bytes(slot.desc);
  }

  FileRange range_of(const WeightOrigin& origin) const {
    const TensorInfo& tensor =
        model_.file().tensors()[static_cast<std::size_t>(origin.file_tensor)];
    return {tensor.shard, tensor.offset, tensor.bytes};
  }

  // WeightSlabs begin each tensor at a multiple of so many bytes.
  static std::uint64_t resident_bytes(const TensorDesc& desc) {
    constexpr std::uint64_t kAlign = 256;
    return (byte_size(desc) + kAlign - 1) / kAlign * kAlign;
  }

  const Model& model_;
  Programs programs_;
  bool unified_;
};

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
  }
  unit.cpu_bytes = unit.device_bytes + unit.small_bytes;
  return unit;
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

// Of a layer with experts a unit has what every token uses, unless the CPU computes it.
std::vector<PlanUnit> units_of(const Model& model, const WeightReader& reader,
                               const OverriddenLayers& overridden, const LayerSet& on_cpu) {
  const auto layers = static_cast<std::int32_t>(model.config().layers);
  std::vector<PlanUnit> units;
  for (std::int32_t layer = 0; layer < layers; ++layer) {
    const bool whole = on_cpu[static_cast<std::size_t>(layer)] || !reader.has_experts(layer);
    units.push_back(whole ? whole_layer(model, reader, layer)
                          : unit_of(reader.layer(layer, true), layer, UnitPart::shared));
  }
  units.push_back(unit_of(reader.output(), layers, UnitPart::output));
  for (std::size_t i = 0; i < overridden.layers.size(); ++i)
    if (overridden.layers[i] && overridden.layers[i]->backend == BackendKind::cpu)
      units[i].forced = Tier::cpu;
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

// Sizes of slots for every way to cut these ops, from the very code that will make them.
std::vector<BlockChoice> block_choices(Device& device, std::span<const ProgramWeights> kinds) {
  std::vector<BlockChoice> choices;
  for (std::uint64_t target = std::uint64_t{32} << 20; target >= std::uint64_t{1} << 18;
       target /= 2) {
    const auto memory_with = [&](int slots, int ring_slots) {
      StreamSettings settings;
      settings.unit_bytes = target;
      settings.slots = slots;
      settings.ring_slots = ring_slots;
      StreamedWeights weights(device, settings);
      for (const ProgramWeights& kind : kinds)
        for (const OpMatrices& op : kind.ops) weights.add_op(op.matrices, false);
      return weights.memory();
    };
    const FeedMemory two = memory_with(2, 2);
    const FeedMemory three = memory_with(3, 3);
    BlockChoice choice;
    choice.target_bytes = target;
    choice.host_slot = three.host - two.host;
    choice.device_slot = three.device - two.device;
    choice.packed = two.device - 2 * choice.device_slot;
    const bool same = !choices.empty() && choices.back().host_slot == choice.host_slot &&
                      choices.back().device_slot == choice.device_slot;
    if (!same) choices.push_back(choice);
  }
  return choices;
}

// The head of a model that streams to a device of its own memory is the CPU's: rows of the
// embeddings are looked up in the mapping.
Placement placement_of(Device& device, Device* cpu, std::vector<Tier> tiers) {
  Placement placement;
  const auto layers = static_cast<std::int32_t>(tiers.size()) - 1;
  if (!device.info().unified && cpu != nullptr) placement.push_back({cpu, 0, 0, {}});
  for (std::int32_t first = 0; first < layers;) {
    std::int32_t end = first;
    const bool on_cpu = tiers[static_cast<std::size_t>(first)] == Tier::cpu;
    while (end < layers && (tiers[static_cast<std::size_t>(end)] == Tier::cpu) == on_cpu) ++end;
    PlacedPart part{on_cpu ? cpu : &device, first, end - first, {}};
    if (!on_cpu) part.tiers.assign(tiers.begin() + first, tiers.begin() + end);
    part.experts_stay = on_cpu;
    placement.push_back(std::move(part));
    first = end;
  }
  const bool output_on_cpu = tiers.back() == Tier::cpu;
  Device* const last = output_on_cpu ? cpu : &device;
  if (placement.back().device != last) placement.push_back({last, layers, 0, {}});
  if (!output_on_cpu) placement.back().tiers.push_back(tiers.back());
  return placement;
}

// Memory of the device beside weights and cache, for steps of a shape; planned once per shape, as
// the planner asks again and again.
class ComputeBytes {
 public:
  ComputeBytes(const Model& model, Device& device, Device* cpu, const RunnerOptions& options,
               const LayerSet& on_cpu)
      : model_(model), device_(device), cpu_(cpu), options_(options), on_cpu_(on_cpu) {}

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
    std::vector<Tier> tiers(on_cpu_.size() + 1, Tier::streamed);
    for (std::size_t i = 0; i < on_cpu_.size(); ++i)
      if (on_cpu_[i]) tiers[i] = Tier::cpu;
    const Placement placement = placement_of(device_, cpu_, tiers);
    // The device is the last of one or two.
    return Runner::plan_memory(model_, placement, options).back().compute;
  }

  const Model& model_;
  Device& device_;
  Device* cpu_;
  RunnerOptions options_;
  LayerSet on_cpu_;
  std::map<std::tuple<std::int64_t, std::int32_t, std::int32_t>, std::uint64_t> known_;
};

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
  request.units = units_of(model, reader, wish.overridden, on_cpu);
  std::vector<ProgramWeights> kinds = {reader.output()};
  for (const LayerKind& kind : model.kinds())
    kinds.push_back(reader.layer(kind.layers.front(), true));
  request.blocks = block_choices(device, kinds);
  request.budgets = wish.budgets;
  request.links = wish.links;
  request.unified = device.info().unified;
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
  request.compute_bytes = [compute =
                               std::make_shared<ComputeBytes>(model, device, cpu, options, on_cpu)](
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
  PlannedResidency planned{placement_of(device, cpu, plan.tiers), options};
  planned.options.context = plan.shape.context;
  planned.options.max_sequences = plan.shape.sequences;
  planned.options.programs.max_tokens = plan.shape.max_tokens;
  planned.options.expert_slots = plan.expert_slots;
  planned.options.experts_kept = plan.experts_kept;
  if (plan.block.target_bytes == 0) return planned;
  StreamSettings& stream = planned.options.stream;
  stream.unit_bytes = plan.block.target_bytes;
  stream.slots = std::max(plan.slots, 2);
  stream.ring_slots = std::max(plan.ring_slots, 2);
  stream.reader_threads = request.reader_threads;
  return planned;
}

}  // namespace strata
