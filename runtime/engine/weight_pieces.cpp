#include "runtime/engine/weight_pieces.h"

#include <algorithm>

namespace strata {
namespace {

struct Rows {
  std::int64_t first = 0;
  std::int64_t count = 0;
  std::uint64_t first_byte = 0;
  std::uint64_t bytes = 0;
};

// In the file's layout.
Rows rows_of(const TensorDesc& desc, PieceOf piece) {
  const std::int64_t first = first_row_of(piece, desc.shape.rows());
  const std::int64_t end = first_row_of({piece.piece + 1, piece.pieces}, desc.shape.rows());
  const auto row =
      static_cast<std::int64_t>(layout_row_bytes(desc.dtype, Layout::rows, desc.shape.columns()));
  return {first, end - first, static_cast<std::uint64_t>(first * row),
          static_cast<std::uint64_t>((end - first) * row)};
}

}  // namespace

std::int64_t first_row_of(PieceOf piece, std::int64_t rows) {
  const std::int64_t panels = (rows + kPanelRows - 1) / kPanelRows;
  return std::min(panels * piece.piece / piece.pieces * kPanelRows, rows);
}

WeightOrigin cut(const WeightOrigin& origin, PieceOf piece) {
  if (piece.pieces == 1) return origin;
  const Rows rows = rows_of(origin.desc, piece);
  WeightOrigin part = origin;
  part.desc.shape[0] = rows.count;
  part.data = origin.data.subspan(rows.first_byte, rows.bytes);
  return part;
}

StreamedMatrix cut(const StreamedMatrix& matrix, PieceOf piece) {
  if (piece.pieces == 1) return matrix;
  const Rows rows = rows_of(matrix.desc, piece);
  StreamedMatrix part = matrix;
  part.desc.shape[0] = rows.count;
  part.range.offset += rows.first_byte;
  part.range.bytes = rows.bytes;
  part.first_row += rows.first;
  return part;
}

}  // namespace strata
