#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "runtime/core/tensor.h"
#include "runtime/core/weight_source.h"
#include "runtime/streaming/file_range.h"

namespace strata {

/// A matrix that is streamed: where the file has it, and how the kernels want it.
struct StreamedMatrix {
  TensorDesc desc;               ///< in Layout::rows, as the file has it
  Layout layout = Layout::rows;  ///< in which it is computed with
  FileRange range;
  std::int64_t first_row = 0;  ///< of the weight that it is a part of
};

/// A row block of a matrix, as one unit of the sweep has it.
struct StreamedPart {
  TensorDesc from;  ///< the block's rows in the file's layout
  TensorDesc to;    ///< the same in the kernels' layout
  FileRange range;
  std::uint32_t matrix = 0;    ///< of the op, in its order
  std::uint32_t packer = 0;    ///< which of the source's, if it is packed
  std::int64_t first_row = 0;  ///< of the weight that its matrix is of
  std::size_t raw_at = 0;      ///< bytes from the start of a device slot
  std::size_t packed_at = 0;   ///< bytes from the start of the packed buffer, if it is packed
  bool packed() const { return from.layout != to.layout; }
};

/// What one launch of an op reads: a row block of each of its matrices.
struct SweepUnit {
  std::vector<StreamedPart> parts;
  std::size_t raw_bytes = 0;     ///< of a device slot
  std::size_t packed_bytes = 0;  ///< of the packed buffer
  StreamUnit file_bytes() const;
};

/// Cuts an op's matrices into units of about `target_bytes` of the file together, at whole panels
/// of rows, equal matrices at equal rows. A tensor of several matrices is not cut. No part is
/// larger than `max_part_bytes` (0: no limit) unless a single panel is.
std::vector<SweepUnit> cut_units(std::span<const StreamedMatrix> matrices,
                                 std::uint64_t target_bytes, std::uint64_t max_part_bytes);

}  // namespace strata
