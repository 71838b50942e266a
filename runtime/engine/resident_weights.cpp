#include "runtime/engine/resident_weights.h"

#include <algorithm>

namespace strata {
namespace {

TensorDesc desc_in(const WeightOrigin& origin, Layout layout) {
  TensorDesc desc = origin.desc;
  desc.layout = layout;
  return desc;
}

}  // namespace

std::vector<BlockId> ResidentWeights::add(const WeightOrigin& origin, Layout layout, Cut cut,
                                          std::int64_t first_row) {
  // Matmuls read whole matrices again and again, lookups a few rows.
  const std::int64_t rank = origin.desc.shape.rank;
  const bool multiplied = (cut == Cut::row_blocks && rank == 2) || rank == 3;
  if (block_rows_ == 0) cut = Cut::whole;  // tied embeddings are then one weight, not two
  const auto next = static_cast<std::uint32_t>(entries_.size());
  const auto [found, added] =
      index_.try_emplace({origin.first_byte(), origin.bytes(), layout, cut}, next);
  if (added) {
    Entry entry;
    entry.origin = origin;
    entry.layout = layout;
    entry.cut = cut;
    entry.first_row = first_row;
    entry.copied = origin.in_pieces();  // kernels read one tensor
    make_blocks(entry, next);
    entries_.push_back(std::move(entry));
  }
  if (multiplied && copy_matrices_ && layout == Layout::rows) entries_[found->second].copied = true;
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
    lease.first_row = entry.first_row + first;
    lease.block = {index, static_cast<std::uint32_t>(entry.blocks.size())};
    entry.blocks.push_back(lease);
  }
}

std::uint64_t ResidentWeights::mapped_bytes() const {
  std::uint64_t total = 0;
  for (const Entry& entry : entries_)
    if (entry.in_place()) total += WeightSlabs::room(entry.origin.bytes());
  return total;
}

std::uint64_t ResidentWeights::packed_bytes() const {
  std::uint64_t total = 0;
  for (const Entry& entry : entries_)
    if (!entry.in_place())
      total += WeightSlabs::room(byte_size(desc_in(entry.origin, entry.layout)));
  return total;
}

// Gives every weight its address; returns those that are still to be brought there.
std::vector<WeightLoad> ResidentWeights::place(Device& device) {
  std::vector<WeightLoad> loads;
  std::vector<Entry*> placed;
  std::vector<std::size_t> sizes;
  for (Entry& entry : entries_) {
    if (entry.data != nullptr) continue;
    if (entry.in_place()) {
      if (std::optional<Buffer> imported = device.import_host(entry.origin.data)) {
        entry.imported = std::move(*imported);
        entry.data = entry.imported.data();
        continue;
      }
    }
    placed.push_back(&entry);
    sizes.push_back(byte_size(desc_in(entry.origin, entry.layout)));
  }
  const std::vector<std::byte*> places = slabs_.place(device, sizes);
  for (std::size_t i = 0; i < placed.size(); ++i) {
    placed[i]->data = places[i];
    loads.push_back({placed[i]->origin, placed[i]->layout, places[i]});
  }
  return loads;
}

void ResidentWeights::upload(const ModelFile& file, Device& device, Stream& stream,
                             BufferSpan scratch, const LoadProgress& progress) {
  load_weights(place(device), file, device, stream, scratch, progress);
  for (Entry& entry : entries_)
    for (Lease& block : entry.blocks)
      block.view.data = entry.data + (block.first_row - entry.first_row) * block.view.row_stride;
}

Lease ResidentWeights::acquire(BlockId block, Stream&) {
  return entries_[block.tensor].blocks[block.block];
}

}  // namespace strata
