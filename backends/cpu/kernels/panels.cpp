#include "backends/cpu/kernels/panels.h"

#include "backends/cpu/kernels/pack.h"

namespace strata::cpu::STRATA_ISA {

static PackUnit* pack_unit(DType dtype) {
  switch (dtype) {
    case DType::Q8_0:
      return pack_q8_0;
    case DType::Q4_0:
      return pack_q4_0;
    case DType::Q4_1:
      return pack_q4_1;
    case DType::Q5_0:
      return pack_q5_0;
    case DType::Q5_1:
      return pack_q5_1;
    case DType::IQ4_NL:
      return pack_iq4_nl;
    case DType::MXFP4:
      return pack_mxfp4;
    case DType::Q2_K:
      return pack_q2_k;
    case DType::Q3_K:
      return pack_q3_k;
    case DType::Q4_K:
      return pack_q4_k;
    case DType::Q5_K:
      return pack_q5_k;
    case DType::Q6_K:
      return pack_q6_k;
    case DType::IQ4_XS:
      return pack_iq4_xs;
    case DType::F32:
    case DType::F16:
    case DType::BF16:
    case DType::I8:
    case DType::I32:
      break;
  }
  return nullptr;
}

// What the padding rows are made of: no block is longer.
static constexpr std::byte kZeroBlock[256] = {};

static constexpr std::int64_t kLine = 64;  // bytes that come from memory together

// Sixteen streams are more than processors follow by themselves.
static inline void ask_ahead(const std::byte* next, std::int64_t row_stride, std::int64_t at) {
  for (int r = 0; r < kRows; ++r) __builtin_prefetch(next + r * row_stride + at);
}

// `live` <= 16 rows of blocks at `rows` into one panel; the others are packed as rows of zeros.
// What will be packed after them begins at `next`, in rows of the same stride; it may be anywhere.
void pack_panel(DType dtype, const std::byte* rows, std::int64_t row_stride, std::int64_t live,
                std::int64_t columns, std::byte* panel, const std::byte* next) {
  PackUnit* pack = pack_unit(dtype);
  if (pack == nullptr) return;  // no block type: no op asks for it
  const BlockSize block = block_size(dtype);
  const std::byte* blocks[kRows];
  for (int r = 0; r < kRows; ++r) blocks[r] = r < live ? rows + r * row_stride : kZeroBlock;
  std::int64_t at = 0;
  std::int64_t asked = 0;
  for (std::int64_t c = 0; c < columns; c += block.columns, panel += kRows * block.bytes) {
    for (at += block.bytes; asked < at; asked += kLine) ask_ahead(next, row_stride, asked);
    pack(blocks, panel);
    for (std::int64_t r = 0; r < live; ++r) blocks[r] += block.bytes;
  }
}

}  // namespace strata::cpu::STRATA_ISA
