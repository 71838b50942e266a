#include "runtime/engine/resident_weights.h"

#include <algorithm>

#include "runtime/graph/passes.h"

namespace strata {
namespace {

TensorDesc desc_in(const WeightOrigin& origin, Layout layout) {
  TensorDesc desc = origin.desc;
  desc.layout = layout;
  return desc;
}

}  // namespace

std::vector<BlockId> ResidentWeights::add(const WeightOrigin& origin, Layout layout, Cut cut) {
  if (block_rows_ == 0) cut = Cut::whole;  // tied embeddings are then one weight, not two
  const auto next = static_cast<std::uint32_t>(entries_.size());
  const auto [found, added] = index_.try_emplace({origin.data.data(), layout, cut}, next);
  if (added) {
    Entry entry;
    entry.origin = origin;
    entry.layout = layout;
    entry.cut = cut;
    make_blocks(entry, next);
    entries_.push_back(std::move(entry));
  }
  std::vector<BlockId> ids;
  for (const Lease& block : entries_[found->second].blocks) ids.push_back(block.block);
  return ids;
}

// Views get their address when the bytes are there.
void ResidentWeights::make_blocks(Entry& entry, std::uint32_t index) const {
  const TensorDesc desc = desc_in(entry.origin, entry.layout);
  const std::int64_t rows = desc.shape.rows();
  const bool divisible = block_rows_ > 0 && entry.cut == Cut::row_blocks && desc.shape.rank == 2;
  const std::int64_t step = divisible ? block_rows_ : std::max<std::int64_t>(rows, 1);
  for (std::int64_t first = 0; first < std::max<std::int64_t>(rows, 1); first += step) {
    Lease lease;
    lease.view = dense_view(nullptr, desc);
    if (divisible) lease.view.shape[0] = std::min(step, rows - first);
    lease.first_row = first;
    lease.block = {index, static_cast<std::uint32_t>(entry.blocks.size())};
    entry.blocks.push_back(lease);
  }
}

std::uint64_t ResidentWeights::mapped_bytes() const {
  std::uint64_t total = 0;
  for (const Entry& entry : entries_)
    if (entry.layout == Layout::rows) total += entry.origin.data.size();
  return total;
}

std::uint64_t ResidentWeights::packed_bytes() const {
  std::uint64_t total = 0;
  for (const Entry& entry : entries_)
    if (entry.layout != Layout::rows) total += byte_size(desc_in(entry.origin, entry.layout));
  return total;
}

// The file's bytes where the device's ops can read them: its own pages, or a copy on the device.
Buffer ResidentWeights::stage(const Entry& entry, Device& device, Stream& stream) {
  const std::span<const std::byte> source = entry.origin.data;
  if (std::optional<Buffer> imported = device.import_host(source)) return std::move(*imported);
  Buffer copy = device.allocate(source.size(), MemoryKind::device);
  // Copies do not write to their source: the cast only fits the one span type.
  stream.copy({copy.data(), copy.bytes(), MemoryKind::device},
              {const_cast<std::byte*>(source.data()), source.size(), MemoryKind::host});
  return copy;
}

void ResidentWeights::fill(Entry& entry, Device& device, Stream& stream) {
  Buffer staged = stage(entry, device, stream);
  if (entry.layout == Layout::rows) {
    entry.buffer = std::move(staged);
    return;
  }
  const TensorDesc packed = desc_in(entry.origin, entry.layout);
  entry.buffer = device.allocate(byte_size(packed), MemoryKind::device);
  const PreparedOp pack = prepare_op(device, {Pack{}, {entry.origin.desc}, {}, {packed}});
  Buffer workspace;
  if (pack.workspace_bytes > 0)
    workspace = device.allocate(pack.workspace_bytes, MemoryKind::device);
  const TensorView in = dense_view(staged.data(), entry.origin.desc);
  const TensorView out = dense_view(entry.buffer.data(), packed);
  pack.run(stream, pack, {{&in, 1}, {}, {&out, 1}}, {workspace.data(), pack.workspace_bytes});
  stream.synchronize();  // before the staged bytes and the workspace go
}

void ResidentWeights::upload(Device& device, Stream& stream, const Progress& progress) {
  std::uint64_t total = 0;
  for (const Entry& entry : entries_) total += entry.origin.data.size();
  std::uint64_t done = 0;
  for (Entry& entry : entries_) {
    if (entry.buffer.data() == nullptr) fill(entry, device, stream);
    for (Lease& block : entry.blocks)
      block.view.data = entry.buffer.data() + block.first_row * block.view.row_stride;
    done += entry.origin.data.size();
    if (progress) progress(done, total);
  }
  stream.synchronize();
}

Lease ResidentWeights::acquire(BlockId block, Stream&) {
  return entries_[block.tensor].blocks[block.block];
}

}  // namespace strata
