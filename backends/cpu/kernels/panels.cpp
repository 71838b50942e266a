#include "backends/cpu/kernels/panels.h"

namespace strata::cpu::STRATA_ISA {

// One block of one row into its panel: the scale, then every group of four bytes.
static inline void pack_block(const std::byte* from, std::byte* to, int row, int groups,
                              std::uint32_t flip) {
  __builtin_memcpy(to + 2 * row, from, 2);
  for (int g = 0; g < groups; ++g) {
    std::uint32_t four;
    __builtin_memcpy(&four, from + 2 + 4 * g, 4);
    four ^= flip;
    __builtin_memcpy(to + kScaleBytes + g * kGroupBytes + 4 * row, &four, 4);
  }
}

// `live` <= 16 rows of Q8_0 or Q4_0 blocks at `rows` into one panel; zeros for the others.
void pack_panel(DType dtype, const std::byte* rows, std::int64_t row_stride, std::int64_t live,
                std::int64_t columns, std::byte* panel) {
  const bool q8 = dtype == DType::Q8_0;
  const int groups = q8 ? kQ8Groups : kQ4Groups;
  const std::uint32_t flip = q8 ? 0x80808080u : 0u;
  const std::int64_t from_bytes = q8 ? 34 : 18;
  const std::int64_t to_bytes = q8 ? kQ8BlockBytes : kQ4BlockBytes;
  if (live < kRows)
    __builtin_memset(panel, 0, static_cast<std::size_t>(panel_bytes(dtype, columns)));
  for (std::int64_t r = 0; r < live; ++r) {
    const std::byte* from = rows + r * row_stride;
    std::byte* to = panel;
    for (std::int64_t b = 0; b < columns / kBlock; ++b, from += from_bytes, to += to_bytes)
      pack_block(from, to, static_cast<int>(r), groups, flip);
  }
}

}  // namespace strata::cpu::STRATA_ISA
