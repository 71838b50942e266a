#include "runtime/streaming/stream_units.h"

#include <algorithm>

namespace strata {
namespace {

constexpr std::size_t kAlign = 256;  // what storage buffers of any GPU ask for

std::size_t aligned(std::size_t bytes) { return (bytes + kAlign - 1) / kAlign * kAlign; }

std::int64_t panels_of(const StreamedMatrix& matrix) {
  return (matrix.desc.shape.rows() + kPanelRows - 1) / kPanelRows;
}

// Rows [first, first + rows) of the matrix; all of a tensor that is not cut.
StreamedPart part_of(const StreamedMatrix& matrix, std::int64_t first, std::int64_t rows) {
  StreamedPart part;
  part.from = matrix.desc;
  part.range = matrix.range;
  part.first_row = matrix.first_row + first;
  if (matrix.desc.shape.rank == 2) {
    const std::size_t row =
        layout_row_bytes(matrix.desc.dtype, Layout::rows, matrix.desc.shape.columns());
    part.from.shape[0] = rows;
    part.range.offset += static_cast<std::uint64_t>(first) * row;
    part.range.bytes = static_cast<std::uint64_t>(rows) * row;
  }
  part.to = part.from;
  part.to.layout = matrix.layout;
  return part;
}

std::int64_t units_for(std::span<const StreamedMatrix> matrices, std::uint64_t target,
                       std::uint64_t max_part) {
  std::uint64_t total = 0;
  std::uint64_t largest = 0;
  std::int64_t panels = 1;
  for (const StreamedMatrix& matrix : matrices) {
    if (matrix.desc.shape.rank != 2) return 1;
    total += matrix.range.bytes;
    largest = std::max(largest, matrix.range.bytes);
    panels = std::max(panels, panels_of(matrix));
  }
  std::uint64_t units = (total + target - 1) / std::max<std::uint64_t>(target, 1);
  if (max_part > 0) units = std::max(units, (largest + max_part - 1) / max_part);
  return std::clamp<std::int64_t>(static_cast<std::int64_t>(units), 1, panels);
}

void lay_out(SweepUnit& unit) {
  for (StreamedPart& part : unit.parts) {
    part.raw_at = unit.raw_bytes;
    unit.raw_bytes += aligned(part.range.bytes);
    if (!part.packed()) continue;
    part.packed_at = unit.packed_bytes;
    unit.packed_bytes += aligned(byte_size(part.to));
  }
}

}  // namespace

StreamUnit SweepUnit::file_bytes() const {
  StreamUnit unit;
  for (const StreamedPart& part : parts) unit.parts.push_back(part.range);
  return unit;
}

std::vector<SweepUnit> cut_units(std::span<const StreamedMatrix> matrices,
                                 std::uint64_t target_bytes, std::uint64_t max_part_bytes) {
  const std::int64_t count = units_for(matrices, target_bytes, max_part_bytes);
  std::vector<SweepUnit> units(static_cast<std::size_t>(count));
  for (std::size_t m = 0; m < matrices.size(); ++m) {
    const std::int64_t rows = matrices[m].desc.shape.rows();
    const std::int64_t step = (panels_of(matrices[m]) + count - 1) / count * kPanelRows;
    for (std::int64_t i = 0; i < count && i * step < rows; ++i) {
      StreamedPart part = part_of(matrices[m], i * step, std::min(step, rows - i * step));
      part.matrix = static_cast<std::uint32_t>(m);
      units[static_cast<std::size_t>(i)].parts.push_back(part);
    }
  }
  // Rounding to panels may leave nothing for the last ones.
  std::erase_if(units, [](const SweepUnit& unit) { return unit.parts.empty(); });
  for (SweepUnit& unit : units) lay_out(unit);
  return units;
}

}  // namespace strata
