#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "runtime/weights/memory_budget.h"
#include "runtime/weights/metadata.h"
#include "runtime/weights/tensor_info.h"

namespace strata {

/// Limits on what a GGUF file may claim. Far above any real model, small enough that a hostile
/// header costs neither time nor memory.
struct GgufLimits {
  std::uint64_t header_bytes = std::uint64_t{512} << 20;
  std::uint64_t string_bytes = std::uint64_t{64} << 20;
  std::uint64_t key_values = 65'536;
  std::uint64_t tensors = 1'048'576;
  std::uint64_t key_bytes = 65'535;
  std::uint64_t tensor_name_bytes = 63;
  std::uint64_t alignment_min = 8;
  std::uint64_t alignment_max = std::uint64_t{1} << 20;
};

/// A parsed and fully checked GGUF file (or one shard of a split set). Borrows the file's bytes.
struct GgufFile {
  std::uint32_t version = 0;
  std::uint64_t alignment = 0;
  std::uint64_t data_offset = 0;  ///< of the tensor data, from the start of the file
  Metadata metadata;
  std::vector<TensorInfo> tensors;  ///< in file order; offsets count from the start of the file
};

/// Parses GGUF v2 and v3 (https://github.com/ggml-org/ggml/blob/master/docs/gguf.md). Every count,
/// length, type, name, shape and offset is checked before it is used, in linear time and without
/// recursion; on return every tensor's bytes are proven to lie in `file`, in order, with no overlap
/// and no gap but padding. Throws Error(bad_model) whose subject is `file_name` and whose text
/// names the key or tensor, the offset and the numbers. `shard` is stored in each TensorInfo.
GgufFile parse_gguf(std::span<const std::byte> file, const std::string& file_name,
                    MemoryBudget& budget, std::uint32_t shard = 0, const GgufLimits& limits = {});

}  // namespace strata
