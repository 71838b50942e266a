#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/weights/model_file.h"

namespace strata {

/// What the tensors of one type add up to.
struct TypeSummary {
  std::string_view name;  ///< "Q4_K"
  bool computable = false;
  std::uint64_t tensors = 0;
  std::uint64_t elements = 0;
  std::uint64_t bytes = 0;
};

struct ShardSummary {
  std::string path;
  std::uint64_t file_bytes = 0;
  std::uint64_t tensors = 0;
};

/// A model file at a glance, for `strata inspect` and the plan block.
struct ModelSummary {
  std::string format;                       ///< "GGUF v3"
  std::optional<std::string> architecture;  ///< empty where the key is missing
  std::optional<std::string> name;          ///< general.name
  std::uint64_t parameters = 0;             ///< elements of all tensors
  std::uint64_t tensor_bytes = 0;
  std::uint64_t file_bytes = 0;    ///< of all shards
  double bits_per_parameter = 0;   ///< 0 without tensors
  std::vector<TypeSummary> types;  ///< most bytes first
  std::vector<ShardSummary> shards;
};

/// Reads no tensor data. Throws nothing but std::bad_alloc: any file that opens can be described.
ModelSummary summarize(const ModelFile& file);

/// "4096 x 32000": fastest dimension first, as GGUF tools print it.
std::string dimensions_text(const TensorInfo& tensor);

}  // namespace strata
