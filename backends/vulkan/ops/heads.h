#pragma once

#include <cstdint>

#include "backends/vulkan/ops/activation.h"

namespace strata::vulkan {

/// Whether `pages` is a cache of shape (pages, kv_heads, page_tokens, head_dim) in a dtype that
/// kv_append writes and attention reads, with rows of whole 32-bit words (Q8_0: of whole blocks).
/// The page count may grow later; it is not looked at.
bool is_cache(const TensorDesc& pages, std::int64_t kv_heads, std::int64_t head_dim);

/// The type id that shaders know a cache's dtype by.
std::uint32_t cache_constant(DType dtype);

/// What shaders/rope_append.comp is made for.
struct HeadsShape {
  Rope rope;
  std::uint32_t heads = 0;     ///< of queries, < 65536
  std::uint32_t kv_heads = 0;  ///< of keys and of values, < 65536
  DType k_dtype = DType::F32;
  DType v_dtype = DType::F32;
  bool q_norm = false;
  bool k_norm = false;
  std::uint32_t page_tokens = 1;
};

/// Its push constants; addresses of what there is none of are 0. run_heads() fills in `heads` and
/// `page_tokens`.
struct HeadsPush {
  Address q;
  Address k;
  Address v;
  Address q_norm;
  Address k_norm;
  Address inv_freq;
  Address step;
  Address k_pages;
  Address v_pages;
  Address out;
  std::uint32_t tokens = 0;
  std::uint32_t q_stride = 0;
  std::uint32_t k_stride = 0;
  std::uint32_t v_stride = 0;
  std::uint32_t out_stride = 0;
  std::uint32_t k_row = 0;
  std::uint32_t v_row = 0;
  std::uint32_t heads = 0;  ///< of queries; of keys in the upper half
  std::uint32_t page_tokens = 1;
  float eps = 0;
  float magnitude = 1;
};

/// Whether the shader can turn heads like these: (tokens, heads * head_dim).
bool can_turn(const Rope& rope, const TensorDesc& x, const TensorDesc& inv_freq);

/// An op that is this shader. `tokens` is the capacity.
PreparedOp prepare_heads(Device& device, const OpDesc& op, OpRun run, const HeadsShape& shape,
                         std::int64_t tokens);

/// One run of an op that prepare_heads made.
void run_heads(Stream& stream, const PreparedOp& op, HeadsPush push);

}  // namespace strata::vulkan
