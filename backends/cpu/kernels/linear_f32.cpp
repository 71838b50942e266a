// Matmul in f32, for every dtype: rows of w are dequantized (F32: read in place) and multiplied
// with the f32 rows of x. Column c is summed in lane c % 16 and the lanes by a fixed tree, so a
// value depends on its two rows only, not on tiles, batch or threads.
#include "backends/cpu/kernels/simd.h"

namespace strata::cpu::STRATA_ISA {

// Rows of w and of x that one tile keeps in registers: R * T accumulators of 16 lanes.
static constexpr int kTileRows = kLanes == 16 ? 4 : 2;
static constexpr int kTileTokens = kLanes == 16 ? 4 : kLanes == 8 ? 2 : 1;

// sums[r][t] = dot(w[r], x[t]) over k columns.
template <int R, int T>
static inline void dot_tile(const float* const* w, const float* const* x, std::int64_t k,
                            float (*sums)[T]) {
  F32x16 acc[R][T];
  for (int r = 0; r < R; ++r)
    for (int t = 0; t < T; ++t) acc[r][t] = set16(0.0F);
  std::int64_t c = 0;
  for (; c + kWide <= k; c += kWide) {
    F32x16 xs[T];
    for (int t = 0; t < T; ++t) xs[t] = load16(x[t] + c);
    for (int r = 0; r < R; ++r) {
      const F32x16 ws = load16(w[r] + c);
      for (int t = 0; t < T; ++t) acc[r][t] = fma16(ws, xs[t], acc[r][t]);
    }
  }
  if (c < k) {
    for (int r = 0; r < R; ++r)
      for (int t = 0; t < T; ++t)
        acc[r][t] = fma16(load16_part(w[r] + c, k - c), load16_part(x[t] + c, k - c), acc[r][t]);
  }
  for (int r = 0; r < R; ++r)
    for (int t = 0; t < T; ++t) sums[r][t] = sum16(acc[r][t]);
}

static inline const float* f32_row(const std::byte* base, std::int64_t stride, std::int64_t row) {
  return reinterpret_cast<const float*>(base + row * stride);
}

// Rows [row, row + R) of w (at w[0..R)) times tokens [token, token + T).
template <int R, int T>
static void run_tile(const LinearTask& task, const float* const* w, std::int64_t row,
                     std::int64_t token) {
  const float* x[T];
  float* out[T];
  for (int t = 0; t < T; ++t) {
    const std::int64_t to = task.routes == nullptr ? token + t : task.routes[token + t];
    const std::int64_t from = task.routes == nullptr ? to : to / task.routes_per_x;
    x[t] = f32_row(task.x, task.x_stride, from);
    out[t] =
        reinterpret_cast<float*>(reinterpret_cast<std::byte*>(task.out) + to * task.out_stride);
  }
  float sums[R][T];
  dot_tile<R, T>(w, x, task.k, sums);
  for (int r = 0; r < R; ++r) {
    const float bias = task.bias == nullptr ? 0.0F : task.bias[row + r];
    for (int t = 0; t < T; ++t)
      out[t][row + r] = task.bias == nullptr ? sums[r][t] : sums[r][t] + bias;
  }
}

template <int T>
static void run_token_tile(const LinearTask& task, const float* const* w, std::int64_t row,
                           std::int64_t count, std::int64_t token) {
  std::int64_t r = 0;
  for (; r + kTileRows <= count; r += kTileRows)
    run_tile<kTileRows, T>(task, w + r, row + r, token);
  for (; r < count; ++r) run_tile<1, T>(task, w + r, row + r, token);
}

// Rows [begin, end) of w, all rows of x (f32). `scratch` holds kScratchRows rows of k floats, k
// rounded up to 16; unused for F32.
void linear_f32(const LinearTask& task, std::int64_t begin, std::int64_t end, std::byte* scratch) {
  auto* floats = reinterpret_cast<float*>(scratch);
  const std::int64_t scratch_stride = (task.k + kWide - 1) / kWide * kWide;
  for (std::int64_t row = begin; row < end; row += kScratchRows) {
    const std::int64_t count = end - row < kScratchRows ? end - row : kScratchRows;
    const float* w[kScratchRows];
    for (std::int64_t r = 0; r < count; ++r) {
      const std::byte* stored = task.w + (row + r) * task.w_stride;
      w[r] = reinterpret_cast<const float*>(stored);
      if (task.w_dtype == DType::F32) continue;
      dequantize_row(task.w_dtype, stored, task.k, floats + r * scratch_stride);
      w[r] = floats + r * scratch_stride;
    }
    std::int64_t token = 0;
    for (; token + kTileTokens <= task.rows; token += kTileTokens)
      run_token_tile<kTileTokens>(task, w, row, count, token);
    for (; token < task.rows; ++token) run_token_tile<1>(task, w, row, count, token);
  }
}

}  // namespace strata::cpu::STRATA_ISA
