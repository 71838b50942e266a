#include "runtime/weights/stored_type.h"

#include <fmt/format.h>

namespace strata {
namespace {

constexpr StoredType kStoredTypes[] = {
#define STRATA_STORED_TYPE(id, name, elements, bytes) \
  {id, #name, elements, bytes, dtype_of_gguf(id)},
#include "runtime/weights/stored_type.def"
#undef STRATA_STORED_TYPE
};

constexpr bool agrees_with_dtypes() {
  std::size_t computed = 0;
  for (const StoredType& type : kStoredTypes) {
    if (!type.dtype) continue;
    ++computed;
    const DTypeInfo& info = dtype_info(*type.dtype);
    if (info.name != type.name || info.block_elements != type.block_elements ||
        info.block_bytes != type.block_bytes)
      return false;
  }
  return computed == std::size(kDTypes);
}
static_assert(agrees_with_dtypes(), "stored_type.def and dtype.def must agree");

enum class Origin : std::uint8_t { removed, fork, removed_or_fork };

struct ForeignRow {
  std::uint32_t gguf_id;
  std::string_view name;
  Origin origin;
};

constexpr ForeignRow kForeignTypes[] = {
#define STRATA_FOREIGN_TYPE(id, name, origin) {id, #name, Origin::origin},
#include "runtime/weights/foreign_type.def"
#undef STRATA_FOREIGN_TYPE
};

}  // namespace

const StoredType* find_stored_type(std::uint32_t gguf_id) {
  for (const StoredType& type : kStoredTypes)
    if (type.gguf_id == gguf_id) return &type;
  return nullptr;
}

ForeignType describe_foreign_type(std::uint32_t gguf_id) {
  const char* requantise = "requantise the original model with llama.cpp's llama-quantize";
  for (const ForeignRow& row : kForeignTypes) {
    if (row.gguf_id != gguf_id) continue;
    const char* origin = row.origin == Origin::removed ? "a repacked type that GGUF removed"
                         : row.origin == Origin::fork
                             ? "made by ik_llama.cpp, which no other program reads"
                             : "a type that GGUF removed or that ik_llama.cpp made";
    return {fmt::format("{} (id {}), {}", row.name, gguf_id, origin), requantise};
  }
  return {fmt::format("id {}, which GGUF does not define", gguf_id),
          "the file is damaged, or made by a newer program: download it again or requantise"};
}

}  // namespace strata
