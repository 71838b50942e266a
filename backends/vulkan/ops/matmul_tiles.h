#pragma once

#include "backends/vulkan/ops/matmul.h"

namespace strata::vulkan {

/// Prompts by matrices of a subgroup (shaders/include/gemm_tiles.glsl): x and weights as halves,
/// each row of x and each tile of weights times a power of two of its own, sums in f32.

/// The matrix that tiles are made of, of those that the device offers; null where none fits.
const CooperativeShape* tile_matrix(const VulkanLimits& limits);

/// Why prompts are not multiplied by matrices: what the device lacks, or this build; "" where they
/// are. `software`: the CPU plays the device.
std::string why_no_tiles(const VulkanLimits& limits, bool software);

/// Completes `kernel` for `shape`, all but what choose_matmul() knows of itself. False, and nothing
/// done, where the device, this build's shaders, or F32 weights do not allow it.
bool plan_tiles(MatmulKernel& kernel, const MatmulShape& shape);

/// Rows of x as kernels with `half_rows` take them.
struct XRows {
  Address address;
  std::uint32_t stride;  ///< bytes
};

/// What half_rows() writes for `rows` rows of k columns; 0 for kernels that take x as it is.
std::size_t half_rows_bytes(const MatmulKernel& kernel, std::int64_t rows, std::int64_t k);

/// Makes them of f32 rows at `x`, into the memory at `into` (16-byte aligned). Returns `x` for
/// kernels that take it as it is.
XRows half_rows(Stream& stream, const MatmulKernel& kernel, XRows x, std::uint32_t rows,
                std::uint32_t k, Address into);

template <class Push>
void set_x(Push& push, const XRows& x) {
  push.x = x.address;
  push.x_stride = x.stride;
}

}  // namespace strata::vulkan
