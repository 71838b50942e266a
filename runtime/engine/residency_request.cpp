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
  // `experts_apart`: they come one by one, and are left out.
  WeightReader(const Model& model, Device& device, const ProgramOptions& options,
               bool experts_apart)
      : model_(model),
        programs_(plan(model, device, options)),
        experts_apart_(experts_apart),
        unified_(device.info().unified) {}

  const Plan& program(std::int32_t layer) const {
    const std::vector<LayerKind>& kinds = model_.kinds();
    std::size_t kind = 0;  // every layer is of one
    while (std::ranges::find(kinds[kind].layers, layer) == kinds[kind].layers.end()) ++kind;
    return bucket().layers[kind];
  }
  ProgramWeights layer(std::int32_t layer) const { return weights(program(layer), layer); }
  ProgramWeights output() const { return weights(bucket().tail, -1); }
  bool has_experts_apart(std::int32_t layer) const {
    return experts_apart_ && !expert_launches(program(layer)).empty();
  }

 private:
  static Programs plan(const Model& model, Device& device, ProgramOptions options) {
    options.max_tokens = 1;
    return plan_programs(model, device, options);
  }
  const ProgramBucket& bucket() const { return programs_.buckets.front(); }

  ProgramWeights weights(const Plan& plan, std::int32_t layer) const {
    ProgramWeights result;
    std::set<std::int32_t> multiplied;  // slots
    if (experts_apart_)
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
      if (op.matrices.empty()) continue;
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
    if (origin.in_pieces())
      throw Error(ErrorCode::does_not_fit, model_.file().path().string(),
                  "has experts that are tensors of their own (Hugging Face files), which cannot be "
                  "streamed",
                  "give the layers that do not fit to the CPU (-ngl auto), or use a GGUF file");
    // What streams to a device of unified memory is computed as it was read (Stage).
    const Layout streamed = unified_ ? Layout::rows : slot.desc.layout;
    op.matrices.push_back({origin.desc, streamed, range_of(origin)});
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
  bool experts_apart_;
  bool unified_;
};

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

// Where experts do not come one by one, a layer of an MoE model is a unit of its own too: its
// matrices are all in one place, and all of its experts move where it streams.
std::vector<PlanUnit> units_of(const Model& model, const WeightReader& reader,
                               const OverriddenLayers& overridden) {
  const auto layers = static_cast<std::int32_t>(model.config().layers);
  std::vector<PlanUnit> units;
  for (std::int32_t layer = 0; layer < layers; ++layer)
    units.push_back(unit_of(reader.layer(layer), layer,
                            reader.has_experts_apart(layer) ? UnitPart::shared : UnitPart::layer));
  units.push_back(unit_of(reader.output(), layers, UnitPart::output));
  for (std::size_t i = 0; i < overridden.layers.size(); ++i)
    if (overridden.layers[i] && overridden.layers[i]->backend == BackendKind::cpu)
      units[i].forced = Tier::cpu;
  return units;
}

// The experts of a mixture come one by one. Not where the user gives layers to the CPU: a stage of
// its own has the same options, and the CPU's experts stay where they are.
bool experts_come(const Model& model, const Device& device, const OverriddenLayers& overridden) {
  const auto on_cpu = [](const std::optional<DeviceId>& id) {
    return id && id->backend == BackendKind::cpu;
  };
  return model.config().experts > 0 &&
         (device.info().unified || std::ranges::none_of(overridden.layers, on_cpu));
}

// Sizes from the very code that will make the slots.
ExpertSlots expert_slots_of(const Model& model, Device& device, const WeightReader& reader,
                            const RunnerOptions& options) {
  ExpertSlots experts;
  WeightOptions with_slots{options.programs.pack_weights, options.weight_block_rows, {}, 1};
  const auto weights = std::make_shared<StageWeights>(model, device, with_slots);
  for (std::int32_t layer = 0; layer < static_cast<std::int32_t>(model.config().layers); ++layer) {
    if (!reader.has_experts_apart(layer)) continue;
    const Plan& program = reader.program(layer);
    weights->bind(program, layer, Tier::device);
    experts.all += model.config().experts;
    experts.token += model.config().experts_used;
    for (const std::vector<std::int32_t>& slots : expert_launches(program))
      for (const std::int32_t slot : slots)
        experts.file_bytes +=
            model.weight(layer, program.weights[static_cast<std::size_t>(slot)].name)->bytes();
  }
  if (experts.all == 0) return experts;
  const std::uint64_t pinned = weights->experts().memory(weights->expert_options()).pinned;
  // What is pinned is the device's where that has the host's memory.
  const std::uint64_t fixed = device.info().unified ? pinned : 0;
  experts.pinned = pinned - fixed;
  experts.bytes = [weights, fixed](std::int64_t slots) {
    ExpertOptions asked = weights->expert_options();
    asked.slots = slots;
    return weights->experts().memory(asked).device + fixed;
  };
  experts.most = [weights, fixed](std::uint64_t bytes) {
    const std::uint64_t room = bytes - std::min(bytes, fixed);
    return weights->experts().most_slots(weights->expert_options(), room);
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
  ComputeBytes(const Model& model, Device& device, Device* cpu, const RunnerOptions& options)
      : model_(model), device_(device), cpu_(cpu), options_(options) {}

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
    const std::vector<Tier> tiers(static_cast<std::size_t>(model_.config().layers) + 1,
                                  Tier::streamed);
    const Placement placement = placement_of(device_, cpu_, tiers);
    // The device is the last of one or two.
    return Runner::plan_memory(model_, placement, options).back().compute;
  }

  const Model& model_;
  Device& device_;
  Device* cpu_;
  RunnerOptions options_;
  std::map<std::tuple<std::int64_t, std::int32_t, std::int32_t>, std::uint64_t> known_;
};

}  // namespace

ResidencyRequest make_residency_request(const Model& model, Device& device, Device* cpu,
                                        const ResidencyWish& wish) {
  RunnerOptions options = wish.options;
  const bool experts = experts_come(model, device, wish.overridden);
  options.expert_slots = experts ? 1 : 0;  // for what steps with experts that come need beside them
  const WeightReader reader(model, device, options.programs, experts);
  ResidencyRequest request;
  if (experts) request.experts = expert_slots_of(model, device, reader, options);
  request.device = to_string(device.info().id);
  request.units = units_of(model, reader, wish.overridden);
  std::vector<ProgramWeights> kinds = {reader.output()};
  for (const LayerKind& kind : model.kinds()) kinds.push_back(reader.layer(kind.layers.front()));
  request.blocks = block_choices(device, kinds);
  request.budgets = wish.budgets;
  request.links = wish.links;
  request.unified = device.info().unified;
  request.cpu_may_compute = wish.cpu_may_compute && cpu != nullptr && cpu != &device;
  request.kv_bytes = [&model, kv = options.programs.kv](const StepShape& shape) {
    return KvCache::bytes(model.config(), kv, {shape.context, shape.sequences}, 1);
  };
  request.compute_bytes = [compute = std::make_shared<ComputeBytes>(model, device, cpu, options)](
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
  if (plan.block.target_bytes == 0) return planned;
  StreamSettings& stream = planned.options.stream;
  stream.unit_bytes = plan.block.target_bytes;
  stream.slots = std::max(plan.slots, 2);
  stream.ring_slots = std::max(plan.ring_slots, 2);
  stream.reader_threads = request.reader_threads;
  return planned;
}

}  // namespace strata
