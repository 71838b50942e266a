#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

#include "runtime/core/tensor.h"
#include "runtime/weights/stored_type.h"

namespace strata {

/// One tensor of a model file, already proven: the type's blocks divide the columns, no product
/// wraps, and [offset, offset + bytes) lies inside its shard. Borrows the name from the file.
struct TensorInfo {
  std::string_view name;
  const StoredType* type = nullptr;
  /// Elements per dimension as GGUF writes them: ne[0] is the fastest (columns); unused ones are 1.
  std::array<std::int64_t, kMaxDims> ne{1, 1, 1, 1};
  std::uint64_t offset = 0;  ///< of the first byte, from the start of the shard
  std::uint64_t bytes = 0;
  std::uint32_t n_dims = 0;
  std::uint32_t shard = 0;  ///< index into ModelFile::shards()

  std::optional<DType> dtype() const { return type->dtype; }
  std::string_view type_name() const { return type->name; }
  std::int64_t columns() const { return ne[0]; }
  std::int64_t rows() const { return ne[1] * ne[2] * ne[3]; }
  std::int64_t elements() const { return columns() * rows(); }
  /// Bytes of one row of ne[0] elements.
  std::uint64_t row_bytes() const { return bytes / static_cast<std::uint64_t>(rows()); }
  /// The dimensions outermost first, as the rest of Strata writes them.
  Shape shape() const {
    Shape result;
    result.rank = static_cast<int>(n_dims);
    for (std::uint32_t i = 0; i < n_dims; ++i) result.dims[n_dims - 1 - i] = ne[i];
    return result;
  }
};

}  // namespace strata
