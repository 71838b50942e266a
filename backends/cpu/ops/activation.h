#pragma once

#include "backends/cpu/ops/common.h"

namespace strata::cpu {

/// Whether an op that makes f32 rows can write them as `out` says: f32, or what `quantize` makes.
inline bool is_activation(const TensorDesc& out) {
  if (out.layout == Layout::quantized)
    return out.dtype == DType::I8 && out.shape.columns() % kScaleBlock == 0;
  return out.layout == Layout::rounded ? out.dtype == DType::BF16 : is_f32_rows(out);
}

/// Workspace of each_row: a row of f32 per thread, where `out` is something else.
inline std::size_t row_scratch_bytes(Device& device, const TensorDesc& out) {
  if (out.layout == Layout::rows) return 0;
  const auto threads = static_cast<std::size_t>(static_cast<CpuDevice&>(device).pool().size());
  return threads * layout_row_bytes(DType::F32, Layout::rows, (out.shape.columns() + 15) / 16 * 16);
}

/// Calls make(row, float* to) for every row of `out`, on the pool where it is worth it. `to` is the
/// row itself, or scratch that is then written as `quantize` would.
template <class Make>
void each_row(CpuStream& stream, const TensorView& out, Workspace workspace, const Make& make) {
  const Kernels& kernels = stream.kernels();
  const auto convert = out.layout == Layout::rounded ? kernels.round_row : kernels.quantize_row;
  auto run = [&](Share share, float* scratch) {
    for (std::int64_t row = share.begin; row < share.end; ++row) {
      float* to = scratch == nullptr ? f32_row(out, row) : scratch;
      make(row, to);
      if (scratch != nullptr) convert(scratch, out.columns(), out.row(row));
    }
  };
  auto* scratch = reinterpret_cast<float*>(workspace.data());
  if (out.layout == Layout::rows) scratch = nullptr;
  if (out.rows() * out.columns() < kWorthAPool) return run({0, out.rows()}, scratch);
  stream.run(out.rows(), [&](int thread, int threads) {
    const std::size_t each = workspace.size() / static_cast<std::size_t>(threads) / sizeof(float);
    float* own = scratch == nullptr ? nullptr : scratch + each * static_cast<std::size_t>(thread);
    run(share_of(out.rows(), 1, thread, threads), own);
  });
}

}  // namespace strata::cpu
