#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <span>
#include <string>
#include <vector>

#include "runtime/weights/memory_budget.h"
#include "runtime/weights/tensor_info.h"

namespace strata {

/// Limits on what a safetensors header may claim. The format itself sets the first.
struct SafetensorsLimits {
  std::uint64_t header_bytes = 100'000'000;
  std::uint64_t tensors = 1'048'576;
  std::uint64_t name_bytes = 1024;
};

/// Parses a safetensors file (https://huggingface.co/docs/safetensors, "Format"): u64 length of the
/// header, the header as JSON, the tensors' bytes. On return every tensor's range is proven to lie
/// in `file`, to be as long as dtype and shape say, to begin at a multiple of its elements' size
/// and to leave no gap to its neighbours and no overlap; tensors come in the order of their bytes,
/// offsets counted from the start of the file. Names are kept in `names`, which must outlive the
/// result. A scalar becomes a tensor of one element. Nothing is allocated for the header as a
/// whole: what the tensors take is charged to `budget`, beside it at most one name or value at a
/// time.
///
/// Throws Error(bad_model), or Error(unsupported_model) for dtypes that are not known and for the
/// weights of another framework, whose subject is `file_name` and whose text names the tensor and
/// the numbers. `shard` is stored in each TensorInfo.
std::vector<TensorInfo> parse_safetensors(std::span<const std::byte> file,
                                          const std::string& file_name, MemoryBudget& budget,
                                          std::deque<std::string>& names, std::uint32_t shard = 0,
                                          const SafetensorsLimits& limits = {});

}  // namespace strata
