#pragma once

#include <map>
#include <tuple>
#include <vector>

#include "runtime/core/weight_source.h"
#include "runtime/engine/weight_loader.h"
#include "runtime/engine/weight_slabs.h"
#include "runtime/models/model.h"

namespace strata {

/// Weights that stay on the device: the trivial WeightSource. Tensors that are wanted as the file
/// has them are used in the mapping where the device can, those wanted packed get memory of their
/// own. Filled by one thread before use; acquire() and release() then cost nothing.
class ResidentWeights final : public WeightSource {
 public:
  /// `copy_matrices`: matrices that matmuls read in the file's layout get memory of their own too,
  /// whose huge pages are faster to read than the mapping's small ones.
  explicit ResidentWeights(std::int64_t block_rows = 0, bool copy_matrices = false)
      : block_rows_(block_rows), copy_matrices_(copy_matrices) {}

  /// Whether an op takes a weight in row blocks (matmuls) or only whole (lookups, norms).
  enum class Cut : std::uint8_t { whole, row_blocks };

  /// Registers a weight in a layout and returns its row blocks; the same weight in the same layout
  /// and cut is kept once. `block_rows` of the constructor > 0 cuts matrices into blocks of so many
  /// rows (a multiple of kPanelRows), which must not change any result.
  /// `first_row`: of the weight that `origin` is a range of rows of.
  std::vector<BlockId> add(const WeightOrigin& origin, Layout layout, Cut cut,
                           std::int64_t first_row = 0);

  /// Bytes that upload() will use in place where the device can, and bytes that it will allocate.
  std::uint64_t mapped_bytes() const;
  std::uint64_t packed_bytes() const;

  /// Makes every registered weight usable. `file` is where the weights come from, `scratch` what
  /// they may go through (load_weights). Throws Error{out_of_memory}.
  void upload(const ModelFile& file, Device& device, Stream& stream, BufferSpan scratch,
              const LoadProgress& progress);

  Lease acquire(BlockId block, Stream& compute) override;
  void release(const Lease&, const Event&) override {}

 private:
  struct Entry {
    WeightOrigin origin;
    Layout layout = Layout::rows;
    Cut cut = Cut::whole;
    std::int64_t first_row = 0;
    bool copied = false;  ///< has memory of its own although the layout is the file's
    Buffer imported;      ///< the mapping as the device sees it, if it is used in place
    std::byte* data = nullptr;
    std::vector<Lease> blocks;

    bool in_place() const { return layout == Layout::rows && !copied; }
  };
  void make_blocks(Entry& entry, std::uint32_t index) const;
  std::vector<WeightLoad> place(Device& device);

  std::int64_t block_rows_;
  bool copy_matrices_;
  WeightSlabs slabs_;
  std::vector<Entry> entries_;
  std::map<std::tuple<const std::byte*, std::uint64_t, Layout, Cut>, std::uint32_t> index_;
};

}  // namespace strata
