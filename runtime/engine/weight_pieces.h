#pragma once

#include <cstdint>

#include "runtime/models/model.h"
#include "runtime/streaming/stream_units.h"

namespace strata {

// A matrix in pieces: ranges of its rows, as equal as whole panels are.

/// Piece `piece` of `pieces`, of which there are at most as many as the matrix has panels.
struct PieceOf {
  std::int32_t piece = 0;
  std::int32_t pieces = 1;
};

/// The first row of a piece of a matrix of so many rows; of the one after the last, its end.
std::int64_t first_row_of(PieceOf piece, std::int64_t rows);

/// Those rows of a weight of two dimensions that lies in one piece in the file, or all of any.
WeightOrigin cut(const WeightOrigin& origin, PieceOf piece);
StreamedMatrix cut(const StreamedMatrix& matrix, PieceOf piece);

}  // namespace strata
