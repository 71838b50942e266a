#pragma once

#include <array>
#include <cstdint>

#include "runtime/core/dtype.h"
#include "runtime/core/tensor.h"

namespace strata {

/// Layout::planes16, the weights of GPUs: a panel is 16 rows, and takes exactly the bytes that they
/// have in the file. Within it each field of the blocks (planes.def) is a plane of its own,
///
///   plane f: [16 rows][columns / block_elements blocks][bytes of field f]
///
/// one after the other in the order of planes.def, so that neighbouring lanes read neighbouring
/// blocks in wide aligned loads. Panels begin on multiples of 16 bytes, and so does every plane.
/// The last panel of a matrix is padded with rows of zero bytes. Only quantized dtypes have planes.

/// A field of a block.
struct PlaneField {
  std::int32_t offset = 0;  ///< into the block in the file
  std::int32_t bytes = 0;
};

inline constexpr int kMaxPlanes = 4;

/// The fields of a block in the order of the planes; those behind the last are 0 bytes.
using PlaneFields = std::array<PlaneField, kMaxPlanes>;

/// All 0 bytes for what has no planes.
constexpr PlaneFields plane_fields(DType dtype) {
  switch (dtype) {
#define STRATA_PLANES(name, ...) \
  case DType::name:              \
    return {{__VA_ARGS__}};
#include "runtime/core/planes.def"
    default:
      return {};
  }
}

/// Bytes from a panel's start to its plane `plane`.
constexpr std::int64_t plane_offset(DType dtype, int plane, std::int64_t columns) {
  const PlaneFields fields = plane_fields(dtype);
  std::int64_t before = 0;
  for (int i = 0; i < plane; ++i) before += fields[static_cast<std::size_t>(i)].bytes;
  return kPanelRows * (columns / dtype_info(dtype).block_elements) * before;
}

}  // namespace strata
