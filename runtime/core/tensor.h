#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <string>

#include "runtime/core/dtype.h"

namespace strata {

inline constexpr int kMaxDims = 4;

/// Dimensions in elements, outermost first, the last one contiguous. At most kMaxDims.
struct Shape {
  int rank = 0;
  std::array<std::int64_t, kMaxDims> dims{};

  constexpr Shape() = default;
  constexpr Shape(std::initializer_list<std::int64_t> sizes) {
    for (std::int64_t size : sizes) dims[static_cast<std::size_t>(rank++)] = size;
  }
  constexpr std::int64_t operator[](int i) const { return dims[static_cast<std::size_t>(i)]; }
  constexpr std::int64_t& operator[](int i) { return dims[static_cast<std::size_t>(i)]; }
  /// The contiguous dimension.
  constexpr std::int64_t columns() const { return rank == 0 ? 1 : (*this)[rank - 1]; }
  /// Product of all dimensions but the last.
  constexpr std::int64_t rows() const {
    std::int64_t product = 1;
    for (int i = 0; i + 1 < rank; ++i) product *= (*this)[i];
    return product;
  }
  constexpr std::int64_t elements() const { return rows() * columns(); }
  friend constexpr bool operator==(const Shape&, const Shape&) = default;
};

/// "(2, 64)"
std::string to_string(const Shape& shape);

/// How a tensor's bytes are arranged. A weight's wanted layout is named by `prepare`, and the op
/// `pack` makes it from `rows`, which is the model file's own arrangement.
enum class Layout : std::uint8_t {
  rows,       ///< row after row, blocks of the dtype along the columns (the file's layout)
  panels16,   ///< weights, CPU: 16 rows interleaved per 32-column block (see kernels/panels.h)
  planes16,   ///< weights, GPUs: 16 rows, each field of their blocks on its own (see planes.h)
  quantized,  ///< activations: int8 values, then scales and sums (kernels/panels.h)
  rounded,    ///< activations: rows of bf16
};

std::string_view layout_name(Layout layout);

/// The dtype of an activation's elements in a layout that `prepare` may want it in.
constexpr DType activation_dtype(Layout layout) {
  return layout == Layout::quantized ? DType::I8
         : layout == Layout::rounded ? DType::BF16
                                     : DType::F32;
}

/// Weights in panels of kPanelRows rows, each of exactly the bytes that its rows have in the file.
constexpr bool is_panelled(Layout layout) {
  return layout == Layout::panels16 || layout == Layout::planes16;
}

/// Rows of one panel of a panelled layout; the last panel is padded with zero rows.
inline constexpr std::int64_t kPanelRows = 16;
/// Columns that share one scale in Layout::panels16 and Layout::quantized.
inline constexpr std::int64_t kScaleBlock = 32;

/// Bytes from one row to the next in `layout`, or of a row's share of a panel.
constexpr std::size_t layout_row_bytes(DType dtype, Layout layout, std::int64_t columns) {
  if (layout == Layout::quantized)
    return static_cast<std::size_t>(columns + columns / kScaleBlock * 16);
  if (layout == Layout::rounded) return static_cast<std::size_t>(columns) * 2;
  return row_bytes(dtype, columns);
}

/// dtype, arrangement and (capacity) shape of a tensor, without its bytes.
struct TensorDesc {
  DType dtype = DType::F32;
  Layout layout = Layout::rows;
  Shape shape;
  friend constexpr bool operator==(const TensorDesc&, const TensorDesc&) = default;
};

/// Bytes that a dense tensor of this description takes; panels are padded to whole panels.
constexpr std::size_t byte_size(const TensorDesc& desc) {
  std::int64_t rows = desc.shape.rows();
  if (is_panelled(desc.layout)) {
    const std::int64_t matrices = desc.shape.rank > 2 ? desc.shape[0] : 1;
    const std::int64_t matrix_rows = rows / (matrices == 0 ? 1 : matrices);
    rows = matrices * ((matrix_rows + kPanelRows - 1) / kPanelRows * kPanelRows);
  }
  return static_cast<std::size_t>(rows) *
         layout_row_bytes(desc.dtype, desc.layout, desc.shape.columns());
}

/// A borrowed, trivially copyable view of a tensor. `data` is an address in the device's own space
/// (a pointer on CPU, CUDA and HIP, a buffer device address on Vulkan). The view owns nothing; who
/// made it keeps the memory alive until the stream has passed the last op that uses it.
struct TensorView {
  std::byte* data = nullptr;
  DType dtype = DType::F32;
  Layout layout = Layout::rows;
  Shape shape;
  std::int64_t row_stride = 0;  ///< bytes from one row (all outer dims flattened) to the next

  template <class T>
  T* as() const {
    return reinterpret_cast<T*>(data);
  }
  std::int64_t rows() const { return shape.rows(); }
  std::int64_t columns() const { return shape.columns(); }
  /// Start of row `r` in a layout of whole rows.
  std::byte* row(std::int64_t r) const { return data + r * row_stride; }
};

/// A dense view of `desc` at `data`.
constexpr TensorView dense_view(std::byte* data, const TensorDesc& desc) {
  return {
      data, desc.dtype, desc.layout, desc.shape,
      static_cast<std::int64_t>(layout_row_bytes(desc.dtype, desc.layout, desc.shape.columns()))};
}

}  // namespace strata
