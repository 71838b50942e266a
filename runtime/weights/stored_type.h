#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "runtime/core/dtype.h"

namespace strata {

/// An element type as model files store it: a row of stored_type.def. More than DType, since a file
/// can be listed without being computed.
struct StoredType {
  std::uint32_t gguf_id;
  std::string_view name;        ///< "IQ2_XS"
  std::int64_t block_elements;  ///< elements of one block along the columns
  std::size_t block_bytes;
  std::optional<DType> dtype;  ///< empty when Strata does not compute it
};

/// The type of a GGUF id, with static lifetime; null when mainline GGUF has no such type.
const StoredType* find_stored_type(std::uint32_t gguf_id);

/// What is known of an id that find_stored_type does not have.
struct ForeignType {
  std::string description;  ///< "IQ4_K (139), a type of ik_llama.cpp only"
  std::string hint;         ///< "requantise ..."
};
ForeignType describe_foreign_type(std::uint32_t gguf_id);

}  // namespace strata
