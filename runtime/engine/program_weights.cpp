#include "runtime/engine/program_weights.h"

#include <algorithm>
#include <set>
#include <utility>

#include "runtime/engine/weight_pieces.h"
#include "runtime/graph/executor.h"

namespace strata {
namespace {

Programs plan_for_one_token(const Model& model, Device& device, ProgramOptions options,
                            bool halves) {
  options.max_tokens = 1;
  ProgramPart all;
  for (std::int32_t layer = 0; layer < static_cast<std::int32_t>(model.config().layers); ++layer)
    for (const LayerPart part : kLayerParts)
      if (part == LayerPart::whole || halves) all.layers[part].push_back(layer);
  return plan_programs(model, device, options, all);
}

// WeightSlabs begin each tensor at a multiple of so many bytes.
std::uint64_t resident_bytes(const TensorDesc& desc) {
  constexpr std::uint64_t kAlign = 256;
  return (byte_size(desc) + kAlign - 1) / kAlign * kAlign;
}

std::int64_t pieces_of(const OpMatrices& op, std::uint64_t target_bytes) {
  const std::int64_t rows = op.matrices.empty() ? 0 : op.matrices.front().desc.shape.rows();
  for (const StreamedMatrix& matrix : op.matrices)
    if (matrix.desc.shape.rank != 2 || matrix.desc.shape.rows() != rows) return 1;
  const auto wanted = static_cast<std::int64_t>((op.file_bytes + target_bytes - 1) / target_bytes);
  return std::clamp<std::int64_t>(rows / kPanelRows, 1, wanted);
}

}  // namespace

std::vector<OpMatrices> cut_op(const OpMatrices& op, std::uint64_t target_bytes) {
  const auto count = static_cast<std::int32_t>(pieces_of(op, target_bytes));
  if (count == 1) return {op};
  std::vector<OpMatrices> pieces(static_cast<std::size_t>(count));
  for (std::int32_t i = 0; i < count; ++i) {
    OpMatrices& piece = pieces[static_cast<std::size_t>(i)];
    for (const StreamedMatrix& matrix : op.matrices) {
      const StreamedMatrix& part = piece.matrices.emplace_back(cut(matrix, {i, count}));
      TensorDesc packed = part.desc;
      packed.layout = part.layout;
      piece.file_bytes += part.range.bytes;
      piece.packed_bytes += resident_bytes(packed);
    }
    piece.flops = op.flops / count;
  }
  return pieces;
}

WeightReader::WeightReader(const Model& model, Device& device, const ProgramOptions& options,
                           bool halves)
    : model_(model),
      programs_(plan_for_one_token(model, device, options, halves)),
      unified_(device.info().unified) {}

const Plan& WeightReader::program(std::int32_t layer, LayerPart part) const {
  const std::vector<LayerKind>& kinds = model_.kinds();
  std::size_t kind = 0;  // every layer is of one
  while (std::ranges::find(kinds[kind].layers, layer) == kinds[kind].layers.end()) ++kind;
  return bucket().layers[part][kind];
}

bool WeightReader::has_experts(std::int32_t layer) const {
  return !expert_launches(program(layer)).empty();
}

ProgramWeights WeightReader::weights(const Plan& plan, std::int32_t layer, bool shared) const {
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

void WeightReader::add(OpMatrices& op, const WeightSlot& slot, std::int32_t layer) const {
  const WeightOrigin origin = *model_.weight(layer, slot.name);
  // What streams to a device of unified memory is computed as it was read (Stage).
  const Layout streamed = unified_ ? Layout::rows : slot.desc.layout;
  // What lies in pieces, experts of Hugging Face files, is streamed one by one or not at all.
  if (!origin.in_pieces()) op.matrices.push_back({origin.desc, streamed, range_of(origin), 0});
  op.file_bytes += origin.bytes();
  op.packed_bytes += resident_bytes(slot.desc);
}

FileRange WeightReader::range_of(const WeightOrigin& origin) const {
  const TensorInfo& tensor = model_.file().tensors()[static_cast<std::size_t>(origin.file_tensor)];
  return {tensor.shard, tensor.offset, tensor.bytes};
}

}  // namespace strata
