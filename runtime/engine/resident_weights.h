#pragma once

#include <functional>
#include <map>
#include <tuple>
#include <vector>

#include "runtime/core/weight_source.h"
#include "runtime/models/model.h"

namespace strata {

/// Weights that stay on the device: the trivial WeightSource. Tensors that are wanted as the file
/// has them are used in the mapping where the device can, those wanted packed get memory of their
/// own. Filled by one thread before use; acquire() and release() then cost nothing.
class ResidentWeights final : public WeightSource {
 public:
  explicit ResidentWeights(std::int64_t block_rows = 0) : block_rows_(block_rows) {}

  /// Whether an op takes a weight in row blocks (matmuls) or only whole (lookups, norms).
  enum class Cut : std::uint8_t { whole, row_blocks };

  /// Registers a weight in a layout and returns its row blocks; the same weight in the same layout
  /// and cut is kept once. `block_rows` of the constructor > 0 cuts matrices into blocks of so many
  /// rows (a multiple of kPanelRows), which must not change any result.
  std::vector<BlockId> add(const WeightOrigin& origin, Layout layout, Cut cut);

  /// Bytes that upload() will use in place where the device can, and bytes that it will allocate.
  std::uint64_t mapped_bytes() const;
  std::uint64_t packed_bytes() const;

  /// Makes every registered weight usable; `progress(done, total)` counts file bytes.
  /// Throws Error{out_of_memory}.
  using Progress = std::function<void(std::uint64_t done, std::uint64_t total)>;
  void upload(Device& device, Stream& stream, const Progress& progress);

  Lease acquire(BlockId block, Stream& compute) override;
  void release(const Lease&, const Event&) override {}

 private:
  struct Entry {
    WeightOrigin origin;
    Layout layout = Layout::rows;
    Cut cut = Cut::whole;
    Buffer buffer;
    std::vector<Lease> blocks;
  };
  void make_blocks(Entry& entry, std::uint32_t index) const;
  static Buffer stage(const Entry& entry, Device& device, Stream& stream);
  static void fill(Entry& entry, Device& device, Stream& stream);

  std::int64_t block_rows_;
  std::vector<Entry> entries_;
  std::map<std::tuple<const std::byte*, Layout, Cut>, std::uint32_t> index_;
};

}  // namespace strata
