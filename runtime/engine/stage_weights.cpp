#include "runtime/engine/stage_weights.h"

#include <utility>

#include "runtime/core/error.h"

namespace strata {
namespace {

bool reads(const Plan& plan, const PlannedNode& node, std::size_t operand, std::size_t slot) {
  if (node.in[operand] < 0) return false;
  const PlannedValue& value = plan.values[static_cast<std::size_t>(node.in[operand])];
  return value.kind == ValueKind::weight && value.slot == static_cast<std::int32_t>(slot);
}

// The executor launches a matmul once per row block; every other operand is wanted whole.
ResidentWeights::Cut cut_of(const Plan& plan, std::size_t slot) {
  for (const PlannedNode& node : plan.nodes)
    for (std::size_t i = 0; i < node.in.size(); ++i)
      if (reads(plan, node, i, slot) && !is_matmul_weight(node.op.desc.kind(), i))
        return ResidentWeights::Cut::whole;
  return ResidentWeights::Cut::row_blocks;
}

// The weight slots of a matmul's matrices, in order.
std::vector<std::size_t> matrix_slots(const Plan& plan, const PlannedNode& node) {
  std::vector<std::size_t> slots;
  for (const MatmulWeight& matrix : matmul_weights(node.op.desc.kind())) {
    const std::int32_t id = node.in[static_cast<std::size_t>(matrix.weight)];
    if (id >= 0)
      slots.push_back(static_cast<std::size_t>(plan.values[static_cast<std::size_t>(id)].slot));
  }
  return slots;
}

}  // namespace

StageWeights::StageWeights(const Model& model, Device& device, const WeightOptions& options)
    : model_(model),
      device_(device),
      options_(options),
      resident_(options.block_rows, options.pack),
      streamed_(device, options.stream) {}

std::vector<WeightBinding> StageWeights::bind(const Plan& plan, std::int32_t layer, Tier tier) {
  std::vector<WeightBinding> bindings(plan.weights.size());
  if (tier != Tier::device) bind_streamed(plan, layer, tier == Tier::host, bindings);
  for (std::size_t slot = 0; slot < plan.weights.size(); ++slot)
    if (bindings[slot].blocks.empty())
      bindings[slot] = {resident_.add(*model_.weight(layer, plan.weights[slot].name),
                                      plan.weights[slot].desc.layout, cut_of(plan, slot))};
  return bindings;
}

void StageWeights::bind_streamed(const Plan& plan, std::int32_t layer, bool pinned,
                                 std::vector<WeightBinding>& bindings) {
  for (const PlannedNode& node : plan.nodes) {
    const std::vector<std::size_t> slots = matrix_slots(plan, node);
    if (slots.empty()) continue;
    std::vector<StreamedMatrix> matrices;
    for (const std::size_t slot : slots) matrices.push_back(matrix_of(plan.weights[slot], layer));
    std::vector<std::vector<BlockId>> blocks = streamed_.add_op(matrices, pinned);
    for (std::size_t i = 0; i < slots.size(); ++i) bindings[slots[i]].blocks = std::move(blocks[i]);
  }
}

StreamedMatrix StageWeights::matrix_of(const WeightSlot& slot, std::int32_t layer) const {
  const WeightOrigin origin = *model_.weight(layer, slot.name);
  if (origin.in_pieces())
    throw Error(ErrorCode::unsupported_model, model_.file().path().string(),
                "experts that are tensors of their own (Hugging Face files) cannot be streamed",
                "give the layers that do not fit to the CPU (-ngl), or use a GGUF file");
  const TensorInfo& tensor = model_.file().tensors()[static_cast<std::size_t>(origin.file_tensor)];
  return {origin.desc, slot.desc.layout, {tensor.shard, tensor.offset, tensor.bytes}};
}

void StageWeights::load(Stream& stream, BufferSpan scratch, const LoadProgress& progress,
                        SlotObserver* observer) {
  resident_.upload(model_.file(), device_, stream, scratch, progress);
  if (streams())
    streamed_.load(open_reader(model_.shared_file(), options_.stream.method), observer);
}

}  // namespace strata
