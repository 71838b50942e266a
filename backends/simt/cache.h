#pragma once

// Pages of the KV cache: (pages, kv_heads, page_tokens, head_dim) in f32, f16, bf16 or q8_0, whose
// rows are blocks of 32 columns: an f16 scale, then 32 int8.

#include <cstddef>
#include <cstdint>

#include "backends/simt/rows.h"
#include "platform.h"

namespace strata::STRATA_SIMT {

inline constexpr int kLargestHead = 256;  // columns
inline constexpr int kCacheBlockBytes = 34;

/// Whether kernels write and read a cache like this. The page count may grow later; it is not
/// looked at. Rows are dense, so that with head_dim a multiple of 4 they are aligned to 8 bytes.
inline bool is_cache(const TensorDesc& pages, std::int64_t kv_heads, std::int64_t head_dim) {
  if (pages.layout != Layout::rows || pages.shape.rank != 4 || pages.shape[1] != kv_heads ||
      pages.shape[2] < 1 || pages.shape[3] != head_dim || head_dim < 4 || head_dim % 4 != 0 ||
      head_dim > kLargestHead)
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

/// A cache as kernels take it.
struct CachePages {
  std::byte* data;
  std::int64_t row_bytes;
  int kv_heads;
  int page_tokens;
  DType dtype;

  /// Number of the row of a position in its page, for row().
  STRATA_DEVICE std::int64_t index(int page, int kv_head, int slot) const {
    return (std::int64_t{page} * kv_heads + kv_head) * page_tokens + slot;
  }
  STRATA_DEVICE std::byte* row(std::int64_t index) const { return data + index * row_bytes; }
};

inline CachePages cache_pages(const TensorView& pages) {
  return {pages.data, pages.row_stride, static_cast<int>(pages.shape[1]),
          static_cast<int>(pages.shape[2]), pages.dtype};
}

/// The product, never part of a fused multiply-add.
STRATA_DEVICE float rounded_product(float a, float b) { return fma_of(a, b, 0.0F); }

/// Four columns as ggml's Q8_0: scale amax / 127 in f16, ties away from zero. The eight threads of
/// a block call it together. A NaN makes the scale NaN; up to 1e-30 the stored scale is zero.
STRATA_DEVICE void store_cache_q8(std::byte* row, int column, int columns, const Four& x) {
  std::uint32_t largest = 0;
  for (int i = 0; i < 4; ++i) largest = max_of(largest, bits_of(x.v[i]) & 0x7fffffffu);
  for (int mask = 4; mask > 0; mask /= 2) largest = max_of(largest, shuffle_xor(largest, mask));
  const float amax = float_of(largest);
  const bool usable = amax <= 3.4e38F && amax > 1e-30F;
  const float scale = amax / 127.0F;
  const float inverse = 1.0F / scale;
  if (column >= columns) return;
  int q[4];
  for (int i = 0; i < 4; ++i) {
    const float v = rounded_product(x.v[i], inverse);
    // Truncation after adding the float below one half rounds ties away from zero.
    q[i] = usable ? static_cast<int>(v + (v < 0.0F ? -0.49999997F : 0.49999997F)) & 0xff : 0;
  }
  auto* block = reinterpret_cast<std::uint16_t*>(row + column / 32 * kCacheBlockBytes);
  if (column % 32 == 0) block[0] = float_to_half(scale);
  block[1 + column % 32 / 2] = static_cast<std::uint16_t>(q[0] | q[1] << 8);
  block[2 + column % 32 / 2] = static_cast<std::uint16_t>(q[2] | q[3] << 8);
}

/// A head x (head_dim) to its row of the cache, by the lanes of one warp, which all call it.
STRATA_DEVICE void store_cache_row(const float* x, int head_dim, DType dtype, std::byte* row) {
  const bool wide = reinterpret_cast<std::uintptr_t>(x) % 16 == 0;
  for (int base = 0; base < head_dim; base += 4 * lane_count()) {
    const int column = base + 4 * lane();
    const Four four = load_four(x, wide, column, head_dim);
    if (dtype == DType::Q8_0) {
      store_cache_q8(row, column, head_dim, four);
      continue;
    }
    if (column >= head_dim) continue;
    if (dtype == DType::F32) {
      store16(row + 4 * column, four);
      continue;
    }
    FourHalves halves;
    for (int i = 0; i < 4; ++i)
      halves.v[i] = dtype == DType::F16 ? float_to_half(four.v[i]) : float_to_bf16(four.v[i]);
    store8(row + 2 * column, halves);
  }
}

}  // namespace strata::STRATA_SIMT
