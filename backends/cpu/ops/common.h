#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <utility>

#include "backends/cpu/cpu_device.h"
#include "backends/cpu/ops/impls.h"

namespace strata::cpu {

inline bool is_f32_rows(const TensorDesc& desc) {
  return desc.dtype == DType::F32 && desc.layout == Layout::rows;
}

inline bool is_i32_rows(const TensorDesc& desc) {
  return desc.dtype == DType::I32 && desc.layout == Layout::rows;
}

/// A PreparedOp whose kernel is this device's ISA variant and whose inputs stay as they are.
inline PreparedOp prepared(Device& device, const OpDesc& desc, OpRun run,
                           std::size_t workspace_bytes = 0) {
  PreparedOp op;
  op.desc = desc;
  op.run = run;
  op.kernel = static_cast<CpuDevice&>(device).kernels().isa;
  op.workspace_bytes = workspace_bytes;
  return op;
}

inline CpuStream& cpu_stream(Stream& stream) { return static_cast<CpuStream&>(stream); }

/// Elements from which on waking the pool is worth it.
inline constexpr std::int64_t kWorthAPool = 16384;

/// Calls body(begin, end) for shares of `items` on the threads for `tokens` tokens, or once on the
/// calling thread when all of it is less than waking the pool is worth (`elements` in all).
template <class Body>
void each_share(CpuStream& stream, std::int64_t tokens, std::int64_t items, std::int64_t elements,
                const Body& body) {
  if (elements < kWorthAPool) {
    body(std::int64_t{0}, items);
    return;
  }
  stream.run(tokens, [&](int thread, int threads) {
    const Share share = share_of(items, 1, thread, threads);
    if (share.begin < share.end) body(share.begin, share.end);
  });
}

/// The same for ops with one item per token.
template <class Body>
void each_share(CpuStream& stream, std::int64_t tokens, std::int64_t elements, const Body& body) {
  each_share(stream, tokens, tokens, elements, body);
}

/// Calls body(row, first column, columns) for tiles of at most 2048 columns of a (rows, columns)
/// shape, in parallel: for ops whose elements do not depend on each other.
template <class Body>
void each_tile(CpuStream& stream, std::int64_t rows, std::int64_t columns, const Body& body) {
  constexpr std::int64_t kTile = 2048;
  const std::int64_t tiles = (columns + kTile - 1) / kTile;
  each_share(stream, rows, rows * tiles, rows * columns, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      const std::int64_t first = i % tiles * kTile;
      body(i / tiles, first, columns - first < kTile ? columns - first : kTile);
    }
  });
}

/// Row `row` of an f32 view.
inline float* f32_row(const TensorView& view, std::int64_t row) {
  return reinterpret_cast<float*>(view.row(row));
}

}  // namespace strata::cpu
