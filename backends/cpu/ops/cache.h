#pragma once

#include <cstdint>

#include "runtime/core/tensor.h"

namespace strata::cpu {

/// Whether `pages` is a cache of shape (pages, kv_heads, page_tokens, head_dim) in a dtype that
/// kv_append writes and attention reads. The page count may grow later; it is not looked at.
inline bool is_cache(const TensorDesc& pages, std::int64_t kv_heads, std::int64_t head_dim) {
  if (pages.layout != Layout::rows || pages.shape.rank != 4 || pages.shape[1] != kv_heads ||
      pages.shape[2] < 1 || pages.shape[3] != head_dim)
    return false;
  switch (pages.dtype) {
    case DType::F32:
    case DType::F16:
    case DType::BF16:
      return true;
    case DType::Q8_0:
      return head_dim % 32 == 0;
    default:
      return false;
  }
}

/// Row `slot` of kv head `kv_head` in page `page`.
inline std::byte* cache_row(const TensorView& pages, std::int64_t page, std::int64_t kv_head,
                            std::int64_t slot) {
  return pages.row((page * pages.shape[1] + kv_head) * pages.shape[2] + slot);
}

}  // namespace strata::cpu
