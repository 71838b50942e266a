#include "runtime/weights/weight_store.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "runtime/core/error.h"
#include "runtime/weights/printable.h"

namespace strata {
namespace {

std::int64_t ceil_div(std::int64_t a, std::int64_t b) { return a / b + (a % b != 0 ? 1 : 0); }

/// Where a tensor may be cut: at multiples of `panel` rows, counted anew in each matrix, so that no
/// panel is split and none straddles two experts.
struct Cuts {
  std::int64_t matrix_rows;
  std::int64_t panel;

  /// The last cut at or before `row`.
  std::int64_t at_or_before(std::int64_t row) const {
    const std::int64_t matrix = row / matrix_rows * matrix_rows;
    return matrix + (row - matrix) / panel * panel;
  }
  /// The first cut after `row`, which is a cut.
  std::int64_t after(std::int64_t row) const {
    const std::int64_t matrix_end = (row / matrix_rows + 1) * matrix_rows;
    return std::min(row + panel, matrix_end);
  }
};

}  // namespace

WeightStore::WeightStore(std::shared_ptr<const ModelFile> file, BlockLimits limits)
    : file_(std::move(file)), limits_(limits) {
  const auto tensors = file_->tensors();
  first_.reserve(tensors.size() + 1);
  for (std::uint32_t i = 0; i < tensors.size(); ++i) add_tensor(i);
  first_.push_back(blocks_.size());
}

void WeightStore::add_tensor(std::uint32_t index) {
  const TensorInfo& tensor = file_->tensors()[index];
  first_.push_back(blocks_.size());
  const auto row_bytes = static_cast<std::int64_t>(tensor.row_bytes());
  const std::int64_t rows = tensor.rows();
  const auto target = static_cast<std::int64_t>(limits_.target_bytes);
  const std::int64_t max_rows = static_cast<std::int64_t>(limits_.max_bytes) / row_bytes;
  const Cuts cuts{tensor.ne[1], limits_.panel_rows};

  // Blocks of nearly equal height: as many as the target asks for, rounded up to whole panels.
  const std::int64_t count = ceil_div(static_cast<std::int64_t>(tensor.bytes), target);
  std::int64_t height = ceil_div(ceil_div(rows, count), cuts.panel) * cuts.panel;
  height = std::min(height, max_rows);
  const auto data = file_->data(tensor);
  for (std::int64_t row = 0; row < rows;) {
    std::int64_t end = std::min(row + height, rows);
    if (end < rows) end = std::max(cuts.at_or_before(end), std::min(cuts.after(row), rows));
    if (end - row > max_rows)
      throw Error(ErrorCode::bad_model, file_->shards()[tensor.shard].path().string(),
                  fmt::format("tensor \"{}\" has rows of {} bytes: {} of them pass the limit of {} "
                              "bytes for one block",
                              printable(tensor.name), row_bytes, end - row, limits_.max_bytes));
    const BlockId id{index, static_cast<std::uint32_t>(blocks_.size() - first_.back())};
    const auto bytes = static_cast<std::size_t>((end - row) * row_bytes);
    blocks_.push_back(
        {id, row, end - row, data.subspan(static_cast<std::size_t>(row * row_bytes), bytes)});
    largest_block_bytes_ = std::max<std::uint64_t>(largest_block_bytes_, bytes);
    row = end;
  }
}

std::span<const WeightBlock> WeightStore::blocks(std::uint32_t tensor) const {
  return std::span(blocks_).subspan(first_[tensor], first_[tensor + 1] - first_[tensor]);
}

}  // namespace strata
