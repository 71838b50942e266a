#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>
#include <utility>

#include "backends/simt/ops/impls.h"
#include "backends/simt/simt_device.h"
#include "platform.h"

// What the host side of every op needs.
namespace strata::STRATA_SIMT {

inline bool is_f32_rows(const TensorDesc& desc) {
  return desc.dtype == DType::F32 && desc.layout == Layout::rows;
}

inline bool is_i32_rows(const TensorDesc& desc) {
  return desc.dtype == DType::I32 && desc.layout == Layout::rows;
}

/// A PreparedOp whose inputs stay as they are; `kernel` names the variant in plans and profiles.
inline PreparedOp prepared(const OpDesc& desc, OpRun run, std::string_view kernel = "simt",
                           std::size_t workspace_bytes = 0,
                           std::shared_ptr<const void> state = nullptr) {
  PreparedOp op;
  op.desc = desc;
  op.run = run;
  op.kernel = kernel;
  op.workspace_bytes = workspace_bytes;
  op.state = std::move(state);
  return op;
}

/// Threads of a block where nothing speaks for another number: whole warps at both lane counts.
inline constexpr unsigned kBlockThreads = 256;

/// ceil(items / each)
constexpr std::int64_t groups(std::int64_t items, std::int64_t each) {
  return (items + each - 1) / each;
}

/// A block per row in x, of which there may be 2^31, and per tile of its columns in y (< 65536).
inline Grid row_grid(std::int64_t rows, std::int64_t tiles = 1) {
  return {static_cast<unsigned>(rows), static_cast<unsigned>(tiles)};
}

/// A tensor's rows as a kernel takes them: where row 0 is, and bytes from one to the next.
template <class T>
struct Rows {
  T* data;
  std::int64_t stride;  ///< bytes
  STRATA_DEVICE T* row(std::int64_t r) const {
    const auto* bytes = reinterpret_cast<const unsigned char*>(data);
    return reinterpret_cast<T*>(const_cast<unsigned char*>(bytes + r * stride));
  }
};

/// The rows of a view; data is null for an absent operand.
template <class T>
Rows<T> rows_of(const TensorView& view) {
  return {reinterpret_cast<T*>(view.data), view.row_stride};
}

}  // namespace strata::STRATA_SIMT
