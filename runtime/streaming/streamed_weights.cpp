#include "runtime/streaming/streamed_weights.h"

#include <algorithm>
#include <stdexcept>
#include <utility>

namespace strata {
namespace {

OpDesc pack_op(const StreamedPart& part) { return {Pack{}, {part.from}, {}, {part.to}}; }

}  // namespace

std::vector<std::vector<BlockId>> StreamedWeights::add_op(std::span<const StreamedMatrix> matrices,
                                                          bool pinned) {
  const StreamedMatrix& first = matrices.front();
  const auto key = std::tuple(first.range.shard, first.range.offset, first.layout);
  if (const auto known = ops_.find(key); known != ops_.end()) {
    // Else a unit would have to be held twice.
    if (known->second.matrices != matrices.size())
      throw std::logic_error("programs for several batch sizes read matrices in other groups");
    return known->second.blocks;
  }
  const auto first_unit = static_cast<std::uint32_t>(units_.size());
  for (SweepUnit& unit : cut_units(matrices, settings_.unit_bytes, device_.info().max_view_bytes)) {
    prepare_packs(unit);
    units_.push_back(std::move(unit));
    pinned_.push_back(pinned);
  }
  const auto count = static_cast<std::uint32_t>(units_.size()) - first_unit;
  std::vector<std::vector<BlockId>> blocks = blocks_of(first_unit, count, matrices.size());
  ops_[key] = {matrices.size(), blocks};
  return blocks;
}

// A unit has the next block of each of the op's matrices that are not at their end: the longest
// are in all of them.
std::vector<std::vector<BlockId>> StreamedWeights::blocks_of(std::uint32_t first_unit,
                                                             std::uint32_t units,
                                                             std::size_t matrices) {
  std::vector<std::vector<BlockId>> blocks(matrices);
  for (std::uint32_t unit = first_unit; unit < first_unit + units; ++unit) {
    const std::vector<StreamedPart>& parts = units_[unit].parts;
    for (std::uint32_t part = 0; part < parts.size(); ++part) {
      blocks[parts[part].matrix].push_back({kTensor, static_cast<std::uint32_t>(blocks_.size())});
      blocks_.push_back({unit, part});
    }
  }
  return blocks;
}

std::size_t StreamedWeights::packed_bytes() const {
  std::size_t most = 0;
  for (const SweepUnit& unit : units_) most = std::max(most, unit.packed_bytes);
  return most;
}

FeedMemory StreamedWeights::memory() const {
  FeedMemory memory = UnitFeed::memory(device_, units_, pinned_, settings_);
  memory.device += packed_bytes() + workspace_bytes();
  return memory;
}

void StreamedWeights::load(std::unique_ptr<BlockReader> reader, SlotObserver* observer) {
  if (workspace_bytes() > 0) workspace_ = device_.allocate(workspace_bytes(), MemoryKind::device);
  if (packed_bytes() > 0) packed_ = device_.allocate(packed_bytes(), MemoryKind::device);
  held_.reserve(static_cast<std::size_t>(settings_.slots + settings_.ring_slots));
  feed_ =
      std::make_unique<UnitFeed>(device_, units_, pinned_, settings_, std::move(reader), observer);
}

void StreamedWeights::prepare_packs(SweepUnit& unit) {
  for (StreamedPart& part : unit.parts) {
    if (!part.packed()) continue;
    const auto known = std::find_if(packers_.begin(), packers_.end(),
                                    [&](const Packer& p) { return p.from == part.from; });
    part.packer = static_cast<std::uint32_t>(known - packers_.begin());
    if (known == packers_.end())
      packers_.push_back({part.from, prepare_op(device_, pack_op(part))});
  }
}

std::size_t StreamedWeights::workspace_bytes() const {
  std::size_t most = 0;
  for (const Packer& packer : packers_) most = std::max(most, packer.op.workspace_bytes);
  return most;
}

Lease StreamedWeights::acquire(BlockId id, Stream& compute) {
  const Block& block = blocks_[id.block];
  const StreamedPart& part = units_[block.unit].parts[block.part];
  const Held& held = hold(block.unit, compute);
  Lease lease;
  lease.view = dense_view(
      part.packed() ? packed_.data() + part.packed_at : held.fed.raw[block.part], part.to);
  lease.first_row = part.first_row;
  lease.block = id;
  lease.generation = feed_->generation();
  return lease;
}

StreamedWeights::Held& StreamedWeights::hold(std::uint32_t unit, Stream& compute) {
  for (Held& held : held_)
    if (held.fed.unit == unit) return held;
  held_.push_back({feed_->take(unit, compute), &compute, 0});
  pack(held_.back(), compute);
  return held_.back();
}

void StreamedWeights::pack(const Held& held, Stream& compute) {
  const std::vector<StreamedPart>& parts = units_[held.fed.unit].parts;
  for (std::size_t i = 0; i < parts.size(); ++i) {
    if (!parts[i].packed()) continue;
    const PreparedOp& op = packers_[parts[i].packer].op;
    const TensorView in = dense_view(held.fed.raw[i], parts[i].from);
    const TensorView out = dense_view(packed_.data() + parts[i].packed_at, parts[i].to);
    op.run(compute, op, {{&in, 1}, {}, {&out, 1}}, {workspace_.data(), op.workspace_bytes});
  }
}

void StreamedWeights::release(const Lease& lease, const Event& last_use) {
  const std::uint32_t unit = blocks_[lease.block.block].unit;
  const auto held = std::find_if(held_.begin(), held_.end(),
                                 [unit](const Held& h) { return h.fed.unit == unit; });
  if (++held->released < units_[unit].parts.size()) return;
  feed_->give_back(held->fed, last_use, *held->compute);
  held_.erase(held);
}

void StreamedWeights::restart() {
  held_.clear();
  if (feed_) feed_->restart();
}

StreamStats StreamedWeights::stats() const { return feed_ ? feed_->stats() : StreamStats{}; }

}  // namespace strata
