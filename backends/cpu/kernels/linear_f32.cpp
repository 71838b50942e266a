// Matmul with f32 activations. F32 and F16 weights are read in place; rows of all other dtypes are
// dequantized first, which is meant for exactness, not for speed.
#include "backends/cpu/kernels/linear_float.h"

namespace strata::cpu::STRATA_ISA {

// `count` rows of a matrix at `from` as rows of f32 at `to`; returns `to`.
static const std::byte* dequantized(const LinearTask& task, const std::byte* from,
                                    std::int64_t count, std::byte* to, std::int64_t stride) {
  for (std::int64_t r = 0; r < count; ++r)
    dequantize_row(task.w_dtype, from + r * task.w_stride, task.k,
                   reinterpret_cast<float*>(to + r * stride));
  return to;
}

// Rows [begin, end) of w, all rows of x (f32). `scratch` holds kScratchRows rows of k floats, k
// rounded up to 16; half of them are w's and half w_up's. For F32 and F16 it holds
// kFloatScratchBytes from kFloatPanelTokens tokens on.
void linear_f32(const LinearTask& task, std::int64_t begin, std::int64_t end, std::byte* scratch) {
  if (task.w_dtype == DType::F32)
    return run_in_place<FloatKind::f32_by_f32>(task, begin, end, scratch);
  if (task.w_dtype == DType::F16)
    return run_in_place<FloatKind::f16_by_f32>(task, begin, end, scratch);
  const std::int64_t stride = (task.k + kWide - 1) / kWide * kWide * 4;
  constexpr std::int64_t kAtOnce = kScratchRows / 2;
  for (std::int64_t row = begin; row < end; row += kAtOnce) {
    const std::int64_t count = end - row < kAtOnce ? end - row : kAtOnce;
    const std::int64_t offset = row * task.w_stride;
    const std::byte* w = dequantized(task, task.w + offset, count, scratch, stride);
    const std::byte* up = nullptr;
    if (task.w_up != nullptr)
      up = dequantized(task, task.w_up + offset, count, scratch + kAtOnce * stride, stride);
    run_rows<FloatKind::f32_by_f32>(task, w, up, stride, row, count);
  }
}

}  // namespace strata::cpu::STRATA_ISA
