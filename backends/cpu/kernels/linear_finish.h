#pragma once

// What every matmul does with its sums: gate, bias, residual, store.

#include "backends/cpu/kernels/exp16.h"
#include "backends/cpu/kernels/linear_task.h"

namespace strata::cpu::STRATA_ISA {

/// Row of out that token `token` of the task gives.
static inline std::int64_t out_row(const LinearTask& task, std::int64_t token) {
  return task.routes == nullptr ? token : task.routes[token];
}

/// Start of the row of x that token `token` of the task reads.
static inline const std::byte* x_row(const LinearTask& task, std::int64_t token) {
  const std::int64_t to = out_row(task, token);
  const std::int64_t from = task.routes == nullptr ? to : to / task.routes_per_x;
  return task.x + from * task.x_stride;
}

/// Columns [row, row + live) of out for `token`: `sums` are its products with w, `up_sums` with
/// w_up (null without). Both are read 16 at a time.
static inline void finish_columns(const LinearTask& task, std::int64_t row, std::int64_t live,
                                  std::int64_t token, const float* sums, const float* up_sums) {
  const std::int64_t to = out_row(task, token);
  auto* out =
      reinterpret_cast<float*>(reinterpret_cast<std::byte*>(task.out) + to * task.out_stride) + row;
  const float* residual =
      task.residual == nullptr
          ? nullptr
          : reinterpret_cast<const float*>(task.residual + to * task.residual_stride) + row;
  for (std::int64_t i = 0; i < live; i += kWide) {
    const std::int64_t left = live - i;
    F32x16 y = load16(sums + i);
    if (up_sums != nullptr) y = silu_times(y, load16(up_sums + i));
    if (task.bias != nullptr) y = add16(y, load16_left(task.bias + row + i, left));
    if (residual != nullptr) y = add16(y, load16_left(residual + i, left));
    store16_left(out + i, y, left);
  }
}

}  // namespace strata::cpu::STRATA_ISA
