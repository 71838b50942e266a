// Matmul of Q8_0 and Q4_0 weights with quantized activations. Per 32 columns the products are
// summed exactly in int32; the blocks are then added in column order in f32 as
//   acc += (scale of w * scale of x) * sum
// with a rounding after every operation, so that all instruction sets, batch sizes and layouts give
// the same bits.
#include "backends/cpu/kernels/linear_finish.h"
#include "backends/cpu/kernels/panel_dot.h"

namespace strata::cpu::STRATA_ISA {

// Rows of x that share one pass over a panel.
static constexpr int kPanelTokens = kLanes == 16 ? 8 : kLanes == 8 ? 2 : 1;

// The panel of rows [row, row + 16) times tokens [token, token + T).
template <bool Q8, int T>
static void run_tile(const LinearTask& task, const std::byte* panel, std::int64_t row,
                     std::int64_t token) {
  QuantizedRow x[T];
  F32x16 acc[T];
  for (int t = 0; t < T; ++t) {
    x[t] = quantized_row(x_row(task, token + t), task.k);
    acc[t] = set16(0.0F);
  }
  for (std::int64_t b = 0; b < task.k / kBlock; ++b) {
    const std::byte* block = panel + b * (Q8 ? kQ8BlockBytes : kQ4BlockBytes);
    const std::byte* quants = block + kScaleBytes;
    const F32x16 scales = load16_f16(reinterpret_cast<const std::uint16_t*>(block));
    for (int t = 0; t < T; ++t) {
      const std::int8_t* a = x[t].values + b * kBlock;
      const std::int32_t sum = x[t].sums[b];
      const I32x16 dots = Q8 ? dot_q8(quants, a, sum) : dot_q4(quants, a, sum);
      const F32x16 scale = mul16(scales, set16(x[t].scales[b]));
      acc[t] = add16(acc[t], mul16(scale, to_f32(dots)));
    }
  }
  const std::int64_t live = task.n - row < kRows ? task.n - row : kRows;
  for (int t = 0; t < T; ++t) {
    float sums[kRows];
    store16(sums, acc[t]);
    finish_columns(task, row, live, token + t, sums, nullptr);
  }
}

template <bool Q8>
static void run_panel(const LinearTask& task, const std::byte* panel, std::int64_t row) {
  std::int64_t token = 0;
  for (; token + kPanelTokens <= task.rows; token += kPanelTokens)
    run_tile<Q8, kPanelTokens>(task, panel, row, token);
  for (; token < task.rows; ++token) run_tile<Q8, 1>(task, panel, row, token);
}

// Rows [begin, end) of w, `begin` a multiple of 16, all rows of x (quantized). Weights in the
// file's layout are packed panel by panel into `scratch`, which holds one panel.
void linear_int8(const LinearTask& task, std::int64_t begin, std::int64_t end, std::byte* scratch) {
  for (std::int64_t row = begin; row < end; row += kRows) {
    const std::byte* panel = task.w + row * task.w_stride;
    if (!task.w_panels) {
      const std::int64_t live = task.n - row < kRows ? task.n - row : kRows;
      pack_panel(task.w_dtype, panel, task.w_stride, live, task.k, scratch);
      panel = scratch;
    }
    if (task.w_dtype == DType::Q8_0)
      run_panel<true>(task, panel, row);
    else
      run_panel<false>(task, panel, row);
  }
}

}  // namespace strata::cpu::STRATA_ISA
