#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "runtime/core/weight_source.h"
#include "runtime/weights/model_file.h"

namespace strata {

/// How tensors are cut into row blocks. Changed only by tests.
struct BlockLimits {
  std::uint64_t target_bytes = std::uint64_t{32} << 20;
  std::uint64_t max_bytes = std::uint64_t{128} << 20;
  std::int64_t panel_rows = kPanelRows;  ///< cuts lie at multiples of this within a matrix
};

/// Consecutive rows of one tensor, in the file's layout. Rows count through a tensor of several
/// matrices (experts): row r of matrix m is m * ne[1] + r.
struct WeightBlock {
  BlockId id;  ///< tensor = ModelFile::index_of, block = position within the tensor
  std::int64_t first_row = 0;
  std::int64_t row_count = 0;
  std::span<const std::byte> data;  ///< in the mapping: row_count * row_bytes()
};

/// The row blocks of a model file's tensors: what is uploaded, streamed and leased as one piece.
/// Pure indexing, no bytes are touched. Blocks of a tensor are of nearly equal size, in row order,
/// and cover it exactly. Immutable, thread-safe; keeps the file open.
class WeightStore {
 public:
  /// Throws Error(bad_model) for a tensor whose rows are so long that a panel passes max_bytes.
  explicit WeightStore(std::shared_ptr<const ModelFile> file, BlockLimits limits = {});

  const ModelFile& file() const { return *file_; }
  const BlockLimits& limits() const { return limits_; }
  /// All blocks, tensor after tensor in file order.
  std::span<const WeightBlock> blocks() const { return blocks_; }
  /// The blocks of one tensor.
  std::span<const WeightBlock> blocks(std::uint32_t tensor) const;
  std::span<const WeightBlock> blocks(const TensorInfo& tensor) const {
    return blocks(file_->index_of(tensor));
  }
  const WeightBlock& block(BlockId id) const { return blocks(id.tensor)[id.block]; }
  const TensorInfo& tensor(BlockId id) const { return file_->tensors()[id.tensor]; }
  /// Size of the largest block: what a staging slot must hold.
  std::uint64_t largest_block_bytes() const { return largest_block_bytes_; }

 private:
  void add_tensor(std::uint32_t index);

  std::shared_ptr<const ModelFile> file_;
  BlockLimits limits_;
  std::vector<WeightBlock> blocks_;
  std::vector<std::size_t> first_;  // per tensor, position of its first block; one more at the end
  std::uint64_t largest_block_bytes_ = 0;
};

}  // namespace strata
