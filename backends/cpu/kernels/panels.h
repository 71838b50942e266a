#pragma once

// Layout::panels16. A panel is 16 rows of w, whole; the last one of a matrix is padded with zero
// rows. Per 32-column block, in column order:
//   16 f16 scales, then the quants as [group of 4 columns or bytes][16 rows][4 bytes].
// Q8_0: 8 groups of 4 columns, each value stored unsigned as w + 128. Q4_0: the file's own nibble
// bytes in 4 groups of 4: low nibbles are columns 0..15, high ones 16..31, stored as w + 8. A panel
// takes the bytes of its 16 rows in the file's layout.

#include "backends/cpu/kernels/simd.h"

namespace strata::cpu::STRATA_ISA {

static constexpr int kRows = 16;
static constexpr int kBlock = 32;              // columns
static constexpr int kScaleBytes = 2 * kRows;  // at the start of a block
static constexpr int kGroupBytes = 4 * kRows;  // 4 bytes of each row
static constexpr int kQ8Groups = 8;
static constexpr int kQ4Groups = 4;
static constexpr int kQ8BlockBytes = kScaleBytes + kQ8Groups * kGroupBytes;
static constexpr int kQ4BlockBytes = kScaleBytes + kQ4Groups * kGroupBytes;
static constexpr std::int32_t kQ8Offset = 128;
static constexpr std::int32_t kQ4Offset = 8;

// Bytes of a panel of `columns`.
static inline std::int64_t panel_bytes(DType dtype, std::int64_t columns) {
  return columns / kBlock * (dtype == DType::Q8_0 ? kQ8BlockBytes : kQ4BlockBytes);
}

// A row of Layout::quantized.
struct QuantizedRow {
  const std::int8_t* values;
  const float* scales;
  const std::int32_t* sums;
};

static inline QuantizedRow quantized_row(const std::byte* row, std::int64_t columns) {
  const std::int64_t blocks = columns / kBlock;
  return {reinterpret_cast<const std::int8_t*>(row), reinterpret_cast<const float*>(row + columns),
          reinterpret_cast<const std::int32_t*>(row + columns + 4 * blocks)};
}

}  // namespace strata::cpu::STRATA_ISA
