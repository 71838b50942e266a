#include "runtime/engine/stage_weights.h"

#include <stdexcept>
#include <utility>

#include "runtime/core/error.h"
#include "runtime/core/host_memory.h"

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

// Where the file has bytes of its mapping.
FileRange range_of(const ModelFile& file, std::span<const std::byte> bytes) {
  if (const auto place = file.place_of(bytes)) return {place->shard, place->offset, bytes.size()};
  throw Error(ErrorCode::bad_model, file.path().string(), "has no experts where they should be");
}

ExpertMatrix expert_matrix(const ModelFile& file, const WeightOrigin& origin, Layout layout) {
  ExpertMatrix matrix{{}, origin.desc};
  matrix.desc.layout = layout;
  if (!origin.in_pieces()) {
    matrix.experts = split_experts(range_of(file, origin.data), origin.desc.shape[0]);
    return matrix;
  }
  for (const std::span<const std::byte> expert : origin.matrices)
    matrix.experts.push_back(range_of(file, expert));
  return matrix;
}

bool bound(const WeightBinding& binding) {
  return !binding.blocks.empty() || binding.expert_launch >= 0;
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
      streamed_(device, options.stream),
      experts_(device) {}

std::vector<WeightBinding> StageWeights::bind(const Plan& plan, std::int32_t layer, Tier tier,
                                              bool experts_stay, const OpTiers& ops) {
  std::vector<WeightBinding> bindings(plan.weights.size());
  if (options_.expert_slots > 0 && !experts_stay) bind_experts(plan, layer, bindings);
  if (tier != Tier::device) bind_matrices(plan, layer, tier, ops, bindings);
  for (std::size_t slot = 0; slot < plan.weights.size(); ++slot)
    if (!bound(bindings[slot]))
      bindings[slot] = {resident_.add(*model_.weight(layer, plan.weights[slot].name),
                                      plan.weights[slot].desc.layout, cut_of(plan, slot)),
                        -1};
  return bindings;
}

void StageWeights::bind_experts(const Plan& plan, std::int32_t layer,
                                std::vector<WeightBinding>& bindings) {
  for (const std::vector<std::int32_t>& slots : expert_launches(plan)) {
    std::vector<ExpertMatrix> matrices;
    for (const std::int32_t slot : slots) {
      const WeightSlot& weight = plan.weights[static_cast<std::size_t>(slot)];
      matrices.push_back(
          expert_matrix(model_.file(), *model_.weight(layer, weight.name), weight.desc.layout));
    }
    const std::uint32_t launch = experts_.add(layer, std::move(matrices));
    for (const std::int32_t slot : slots)
      bindings[static_cast<std::size_t>(slot)].expert_launch = static_cast<std::int32_t>(launch);
  }
}

ExpertOptions StageWeights::expert_options() const {
  ExpertOptions options;
  options.slots = options_.expert_slots;
  options.kept = device_.info().unified ? 0 : options_.experts_kept;
  options.used = static_cast<std::int32_t>(model_.config().experts_used);
  return options;
}

FeedMemory StageWeights::stream_memory() const {
  FeedMemory memory;
  if (!streamed_.empty()) memory = streamed_.memory();
  if (experts_.empty()) return memory;
  const ExpertMemory experts = experts_.memory(expert_options());
  memory.device += experts.device;
  memory.host += experts.pinned;
  return memory;
}

StreamStats StageWeights::stats() const {
  StreamStats all = streamed_.stats();
  const ExpertStats experts = experts_.stats();
  all.bytes_read += experts.bytes_read;
  all.bytes_uploaded += experts.bytes_uploaded;
  all.io_wait_ns += experts.io_wait_ns;
  all.expert_hits += experts.counts.hits;
  all.expert_misses += experts.counts.misses;
  all.expert_evictions += experts.counts.evictions;
  all.expert_host_hits += experts.host_hits;
  all.pageable = all.pageable || experts.pageable;
  return all;
}

void StageWeights::bind_matrices(const Plan& plan, std::int32_t layer, Tier tier,
                                 const OpTiers& ops, std::vector<WeightBinding>& bindings) {
  const std::vector<Tier> whole = {tier};
  std::size_t op = 0;
  for (const PlannedNode& node : plan.nodes) {
    const std::vector<std::size_t> slots = matrix_slots(plan, node);
    if (slots.empty() || bound(bindings[slots[0]])) continue;
    if (!ops.empty() && op == ops.size())
      throw std::logic_error("a placement has tiers of fewer ops than the layer's program");
    const std::vector<Tier>& pieces = ops.empty() ? whole : ops[op++];
    const auto count = static_cast<std::int32_t>(pieces.size());
    for (std::int32_t piece = 0; piece < count; ++piece)
      bind_piece(plan, layer, slots, {piece, count}, pieces[static_cast<std::size_t>(piece)],
                 bindings);
  }
}

void StageWeights::bind_piece(const Plan& plan, std::int32_t layer,
                              std::span<const std::size_t> slots, PieceOf piece, Tier tier,
                              std::vector<WeightBinding>& bindings) {
  std::vector<std::vector<BlockId>> blocks;
  if (tier == Tier::device) {
    for (const std::size_t slot : slots) {
      const WeightSlot& weight = plan.weights[slot];
      const WeightOrigin origin = *model_.weight(layer, weight.name);
      blocks.push_back(resident_.add(cut(origin, piece), weight.desc.layout, cut_of(plan, slot),
                                     first_row_of(piece, origin.desc.shape.rows())));
    }
  } else {
    std::vector<StreamedMatrix> matrices;
    for (const std::size_t slot : slots)
      matrices.push_back(cut(matrix_of(plan.weights[slot], layer), piece));
    blocks = streamed_.add_op(matrices, tier == Tier::host);
  }
  for (std::size_t i = 0; i < slots.size(); ++i) {
    std::vector<BlockId>& all = bindings[slots[i]].blocks;
    all.insert(all.end(), blocks[i].begin(), blocks[i].end());
  }
}

StreamedMatrix StageWeights::matrix_of(const WeightSlot& slot, std::int32_t layer) const {
  const WeightOrigin origin = *model_.weight(layer, slot.name);
  if (origin.in_pieces())
    throw Error(ErrorCode::unsupported_model, model_.file().path().string(),
                "experts that do not lie in one piece (Hugging Face files) stream one by one only");
  const TensorInfo& tensor = model_.file().tensors()[static_cast<std::size_t>(origin.file_tensor)];
  return {origin.desc, slot.desc.layout, {tensor.shard, tensor.offset, tensor.bytes}, 0};
}

// `bytes` are read again and again. Of more than memory keeps nothing would be there when it is
// needed again, and what others have in the page cache would go for it.
std::unique_ptr<BlockReader> StageWeights::open_weight_reader(std::uint64_t bytes) const {
  std::unique_ptr<BlockReader> reader =
      open_reader(model_.shared_file(), options_.stream.method,
                  {.drop_behind = bytes > read_host_memory().free});
  if (options_.stream.wrap_reader) reader = options_.stream.wrap_reader(std::move(reader));
  return reader;
}

void StageWeights::load(Stream& stream, BufferSpan scratch, const LoadProgress& progress,
                        SlotObserver* observer) {
  resident_.upload(model_.file(), device_, stream, scratch, progress);
  if (!streamed_.empty()) {
    std::uint64_t bytes = 0;
    for (const SweepUnit& unit : streamed_.units()) bytes += unit.raw_bytes;
    streamed_.load(open_weight_reader(bytes), observer);
  }
  if (experts_.empty()) return;
  expert_reader_ = open_weight_reader(model_.file().tensor_bytes());
  experts_.load(*expert_reader_, expert_options(), observer);
}

}  // namespace strata
