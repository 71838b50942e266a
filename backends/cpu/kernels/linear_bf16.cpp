// Matmul of BF16 weights with bf16 activations.
#include "backends/cpu/kernels/linear_finish.h"

namespace strata::cpu::STRATA_ISA {

// Column c is summed in lane c / 2 % 16 of one accumulator, so a value depends on its two rows
// only.
static float dot_bf16(const std::uint16_t* a, const std::uint16_t* b, std::int64_t k) {
  float sums[kWide] = {};
  for (std::int64_t c = 0; c < k; ++c) sums[c / 2 % kWide] += bf16_value(a[c]) * bf16_value(b[c]);
  return sum16(load16(sums));
}

void linear_bf16(const LinearTask& task, std::int64_t begin, std::int64_t end, std::byte*) {
  const auto row_at = [](const std::byte* at) {
    return reinterpret_cast<const std::uint16_t*>(at);
  };
  for (std::int64_t row = begin; row < end; ++row) {
    const std::int64_t offset = row * task.w_stride;
    for (std::int64_t token = 0; token < task.rows; ++token) {
      const std::uint16_t* x = row_at(x_row(task, token));
      float sums[kWide] = {dot_bf16(row_at(task.w + offset), x, task.k)};
      float up_sums[kWide] = {};
      if (task.w_up != nullptr) up_sums[0] = dot_bf16(row_at(task.w_up + offset), x, task.k);
      finish_columns(task, row, 1, token, sums, task.w_up == nullptr ? nullptr : up_sums);
    }
  }
}

}  // namespace strata::cpu::STRATA_ISA
