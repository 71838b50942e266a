#include "backends/cpu/kernels/dequantize.h"

namespace strata::cpu::STRATA_ISA {

static void dequantize_f16(const std::byte* data, std::int64_t columns, float* out) {
  const std::uint8_t* from = bytes_of(data);
  std::int64_t c = 0;
  for (; c + kWide <= columns; c += kWide) store16(out + c, f32_of_f16(from + 2 * c));
  for (; c < columns; ++c) out[c] = f16_at(from + 2 * c);
}

static void dequantize_bf16(const std::byte* data, std::int64_t columns, float* out) {
  const std::uint8_t* from = bytes_of(data);
  std::int64_t c = 0;
  for (; c + kWide <= columns; c += kWide) store16(out + c, f32_of_bf16(from + 2 * c));
  for (; c < columns; ++c) out[c] = bf16_value(u16_at(from + 2 * c));
}

// `columns` elements, a multiple of the dtype's block, as f32.
void dequantize_row(DType dtype, const std::byte* blocks, std::int64_t columns, float* out) {
  const std::int64_t n32 = columns / 32;
  const std::int64_t n256 = columns / 256;
  switch (dtype) {
    case DType::F32:
      __builtin_memcpy(out, blocks, static_cast<std::size_t>(columns) * sizeof(float));
      return;
    case DType::F16:
      return dequantize_f16(blocks, columns, out);
    case DType::BF16:
      return dequantize_bf16(blocks, columns, out);
    case DType::Q4_0:
      return dequantize_q4_0(blocks, n32, out);
    case DType::Q4_1:
      return dequantize_q4_1(blocks, n32, out);
    case DType::Q5_0:
      return dequantize_q5_0(blocks, n32, out);
    case DType::Q5_1:
      return dequantize_q5_1(blocks, n32, out);
    case DType::Q8_0:
      return dequantize_q8_0(blocks, n32, out);
    case DType::IQ4_NL:
      return dequantize_iq4_nl(blocks, n32, out);
    case DType::MXFP4:
      return dequantize_mxfp4(blocks, n32, out);
    case DType::Q2_K:
      return dequantize_q2_k(blocks, n256, out);
    case DType::Q3_K:
      return dequantize_q3_k(blocks, n256, out);
    case DType::Q4_K:
      return dequantize_q4_k(blocks, n256, out);
    case DType::Q5_K:
      return dequantize_q5_k(blocks, n256, out);
    case DType::Q6_K:
      return dequantize_q6_k(blocks, n256, out);
    case DType::IQ4_XS:
      return dequantize_iq4_xs(blocks, n256, out);
    case DType::I8:
    case DType::I32:
      return;  // not weights: no op supports them
  }
}

}  // namespace strata::cpu::STRATA_ISA
