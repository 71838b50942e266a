#pragma once

// Rows of activations: f32, and the formats that matmuls want them in (Layout::quantized and
// Layout::rounded). A thread has four columns at a time, neighbouring threads neighbouring ones.

#include <cstddef>
#include <cstdint>

#include "backends/simt/exact.h"
#include "platform.h"
#include "runtime/core/tensor.h"

namespace strata::STRATA_SIMT {

/// Rows that a kernel goes through in fours. `wide`: each begins on a multiple of 16 bytes.
struct FourRows {
  std::byte* data;
  std::int64_t stride;  ///< bytes
  bool wide;

  STRATA_DEVICE float* row(std::int64_t r) const {
    return reinterpret_cast<float*>(data + r * stride);
  }
};

inline FourRows four_rows(const TensorView& view) {
  const bool wide =
      reinterpret_cast<std::uintptr_t>(view.data) % 16 == 0 && view.row_stride % 16 == 0;
  return {view.data, view.row_stride, wide};
}

struct alignas(16) Four {
  float v[4];
};

/// Columns [column, column + 4) of a row, zeros from `columns` on.
STRATA_DEVICE Four load_four(const float* row, bool wide, int column, int columns) {
  if (wide && column + 4 <= columns) return load16<Four>(row + column);
  Four x = {};
  for (int i = 0; i < 4; ++i)
    if (column + i < columns) x.v[i] = row[column + i];
  return x;
}

STRATA_DEVICE void store_four(float* row, bool wide, int column, int columns, const Four& x) {
  if (wide && column + 4 <= columns) {
    store16(row + column, x);
    return;
  }
  for (int i = 0; i < 4; ++i)
    if (column + i < columns) row[column + i] = x.v[i];
}

struct alignas(8) FourHalves {
  std::uint16_t v[4];
};

STRATA_DEVICE void store_rounded(std::byte* row, bool wide, int column, int columns,
                                 const Four& x) {
  FourHalves halves;
  for (int i = 0; i < 4; ++i) halves.v[i] = float_to_bf16(x.v[i]);
  auto* to = reinterpret_cast<std::uint16_t*>(row) + column;
  if (wide && column + 4 <= columns) {
    store8(to, halves);
    return;
  }
  for (int i = 0; i < 4; ++i)
    if (column + i < columns) to[i] = halves.v[i];
}

// Blocks whose largest value is below 2^-120 count as zero: 127 / amax stays finite.
constexpr std::uint32_t kTinyBits = 0x03800000u;
constexpr std::uint32_t kInfinityBits = 0x7f800000u;
constexpr std::uint32_t kNanBits = 0x7fc00000u;

/// A share of a 32-column block: the eight threads that have it, whose first has a column that is
/// a multiple of 32, all call it. Scale amax / 127, values to nearest even; a block with an
/// infinity or NaN gets a NaN scale. Nothing is written from `columns` on.
STRATA_DEVICE void store_quantized(std::byte* row, int column, int columns, const Four& x) {
  std::uint32_t largest = 0;  // as bits, which order like the magnitudes, with NaN above all
  for (int i = 0; i < 4; ++i) largest = max_of(largest, bits_of(x.v[i]) & 0x7fffffffu);
  for (int mask = 4; mask > 0; mask /= 2) largest = max_of(largest, shuffle_xor(largest, mask));
  const bool usable = largest >= kTinyBits && largest < kInfinityBits;
  const float amax = float_of(largest);
  const float inverse = 127.0F / amax;
  int half = 0;
  std::uint32_t packed = 0;
  for (int i = 0; i < 4; ++i) {
    const int q = usable ? static_cast<int>(round_of(x.v[i] * inverse)) : 0;
    half += q;
    packed |= static_cast<std::uint32_t>(q & 0xff) << (8 * i);
  }
  half += shuffle_xor(half, 1);
  half += shuffle_xor(half, 2);
  const int sum = half + shuffle_xor(half, 4);
  if (column >= columns) return;
  const int blocks = columns / 32;
  store4(row + column, packed);
  auto* scales = reinterpret_cast<float*>(row + columns);
  auto* sums = reinterpret_cast<int*>(scales + blocks);
  if (column % 32 == 0) {
    scales[column / 32] = usable ? amax / 127.0F : float_of(largest < kTinyBits ? 0u : kNanBits);
    sums[column / 32] = -128 * sum;
  }
  if (column % 16 == 0) sums[blocks + column / 16] = -128 * half;
}

/// Four columns of row `r` of `out`, as its layout says. For Layout::quantized all threads of a
/// warp call it, as store_quantized says.
template <Layout layout>
STRATA_DEVICE void store_activation(const FourRows& out, std::int64_t r, int column, int columns,
                                    const Four& x) {
  if constexpr (layout == Layout::quantized)
    store_quantized(out.data + r * out.stride, column, columns, x);
  else if constexpr (layout == Layout::rounded)
    store_rounded(out.data + r * out.stride, out.wide, column, columns, x);
  else
    store_four(out.row(r), out.wide, column, columns, x);
}

/// The same where the layout is known at run time only.
STRATA_DEVICE void store_in_layout(Layout layout, const FourRows& out, std::int64_t r, int column,
                                   int columns, const Four& x) {
  if (layout == Layout::quantized)
    store_activation<Layout::quantized>(out, r, column, columns, x);
  else if (layout == Layout::rounded)
    store_activation<Layout::rounded>(out, r, column, columns, x);
  else
    store_activation<Layout::rows>(out, r, column, columns, x);
}

/// Whether `out` is f32, or what `quantize` makes.
inline bool is_activation(const TensorDesc& out) {
  if (out.layout == Layout::quantized)
    return out.dtype == DType::I8 && out.shape.columns() % kScaleBlock == 0;
  if (out.layout == Layout::rounded) return out.dtype == DType::BF16;
  return out.dtype == DType::F32 && out.layout == Layout::rows;
}

}  // namespace strata::STRATA_SIMT
