#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace strata {

/// Element types, from dtype.def: plain numbers and block-quantized weights.
enum class DType : std::uint8_t {
#define STRATA_DTYPE(name, gguf_id, block_elements, block_bytes) name,
#include "runtime/core/dtype.def"
#undef STRATA_DTYPE
};

/// One row of dtype.def.
struct DTypeInfo {
  DType dtype;
  std::string_view name;        ///< as GGUF tools print it, "Q4_K"
  std::uint32_t gguf_id;        ///< ggml_type in a GGUF tensor info
  std::int64_t block_elements;  ///< elements of one block along the columns
  std::size_t block_bytes;      ///< bytes of one block
};

inline constexpr DTypeInfo kDTypes[] = {
#define STRATA_DTYPE(name, gguf_id, block_elements, block_bytes) \
  {DType::name, #name, gguf_id, block_elements, block_bytes},
#include "runtime/core/dtype.def"
#undef STRATA_DTYPE
};

constexpr const DTypeInfo& dtype_info(DType dtype) {
  return kDTypes[static_cast<std::size_t>(dtype)];
}

/// More than one element per block, each with a scale of its own.
constexpr bool is_quantized(DType dtype) { return dtype_info(dtype).block_elements > 1; }

/// Bytes of one row of `columns` elements. `columns` is a multiple of the block (checked by who
/// made the tensor) and already proven small enough for the product not to overflow.
constexpr std::size_t row_bytes(DType dtype, std::int64_t columns) {
  const DTypeInfo& info = dtype_info(dtype);
  return static_cast<std::size_t>(columns / info.block_elements) * info.block_bytes;
}

/// The type of a GGUF type id; empty when Strata does not compute it.
constexpr std::optional<DType> dtype_of_gguf(std::uint32_t gguf_id) {
  for (const DTypeInfo& info : kDTypes)
    if (info.gguf_id == gguf_id) return info.dtype;
  return std::nullopt;
}

/// The type of a name as users write it, upper or lower case ("q8_0"); empty when unknown.
constexpr std::optional<DType> dtype_of_name(std::string_view name) {
  auto upper = [](char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 32) : c; };
  for (const DTypeInfo& info : kDTypes) {
    if (info.name.size() != name.size()) continue;
    bool same = true;
    for (std::size_t i = 0; i < name.size(); ++i) same = same && upper(name[i]) == info.name[i];
    if (same) return info.dtype;
  }
  return std::nullopt;
}

}  // namespace strata
