#pragma once

#include "backends/vulkan/ops/common.h"

namespace strata::vulkan {

/// What linear, linear_group, linear_gated and the expert matmuls share. in[0] is x, in[1] a w,
/// out[0] the result. Weights: floats in rows, blocks in planes16 or rows. x: f32 rows, or
/// quantized for blocks.

/// Most rows of x that one work group multiplies without tiles, and so reads each weight once for.
inline constexpr std::int64_t kGemvTokens = 8;

/// A matmul to choose a shader for.
struct MatmulShape {
  DType dtype;  ///< of w
  Layout w;
  Layout x;
  std::int64_t k;
  std::int64_t tokens;       ///< capacity: rows of x, or tokens of experts' routes
  bool gated = false;        ///< w[0] and w[1] are gate and up
  std::int64_t experts = 0;  ///< 0: one matrix for all rows
  std::int64_t routes = 0;   ///< of all experts, capacity
  std::int64_t n = 0;        ///< outputs of a row of x; 0: not known
  bool quantized = false;    ///< the result of a gated pair is made int8, of x that is int8
};

/// The specialisation constants of gemv.glsl, gemm.glsl and gemm_tiles.glsl, in their order.
/// "Tiles" are the last one's.
struct MatmulConstants {
  std::uint32_t lanes = 1;
  std::uint32_t dtype = 0;  ///< GGUF's id
  std::uint32_t planes = 0;
  std::uint32_t w_aligned = 0;
  std::uint32_t gated = 0;
  std::uint32_t x_aligned = 0;
  std::uint32_t rows = 1;    ///< of w per work group; gated: half of them of each matrix
  std::uint32_t tokens = 1;  ///< rows of x per work group
  /// gemv: partial sums of an output; gemm: quads of rows per lane; tiles: rows of a subgroup
  std::uint32_t parts = 1;
  /// gemm: quads of tokens per lane; tiles: tokens of a subgroup; gemv: 1, the result becomes int8
  std::uint32_t token_quads = 1;
  std::uint32_t unroll = 1;  ///< gemv: pieces of a unit; gemm: columns
  /// Tiles: the matrices of a subgroup are (m, k) times (k, n).
  std::uint32_t m = 0;
  std::uint32_t n = 0;
  std::uint32_t k = 0;
  std::uint32_t subgroup = 0;  ///< tiles: lanes of a subgroup; else 0, the driver's choice
};

/// A shader and its constants, with the pipeline for operands that are dense and begin on 16 bytes.
struct MatmulKernel {
  VulkanDevice* device = nullptr;
  std::string_view shader;
  std::string_view name;
  bool tiles = false;  ///< one work group per tile of the result
  MatmulConstants constants;
  VkPipeline pipeline{};
  VkPipeline half_rows{};  ///< of kernels that take x as matmul_tiles.h's half_rows() has it
  std::uint32_t out_rows() const { return constants.rows / (constants.gated + 1); }
};

/// Push constants of shaders/include/matmul_push.glsl.
struct MatmulPush {
  Address x;
  std::array<Address, 3> w{};
  std::array<Address, 3> out{};
  std::array<Address, 3> bias{};  ///< bias[1] with n[1] == 0: the residual of out[0]
  std::uint32_t k = 0;
  std::uint32_t x_stride = 0;
  std::uint32_t w_stride = 0;
  std::uint32_t rows = 0;  ///< of x
  std::array<std::uint32_t, 3> n{};
  std::array<std::uint32_t, 3> out_stride{};
};

/// The same of the expert matmuls.
struct ExpertsPush {
  Address x;
  std::array<Address, 2> w{};
  Address out;
  Address offsets;
  Address order;
  Address tiles;
  std::uint32_t k = 0;
  std::uint32_t x_stride = 0;
  std::uint32_t w_stride = 0;
  std::uint32_t out_stride = 0;
  std::uint32_t n = 0;
  std::uint32_t expert_rows = 0;
  std::uint32_t experts = 0;
  std::uint32_t routes = 0;
  std::uint32_t routes_per_x = 1;
};

/// Whether `w` and an x of this description can be multiplied to f32 rows `out`.
bool matmul_supports(const TensorDesc& x, const TensorDesc& w, const TensorDesc& out);

/// The layouts that are wanted for `tokens` rows of x and weights of `dtype`.
Layout wanted_x(const VulkanLimits& limits, DType dtype, std::int64_t tokens);
Layout wanted_w(DType dtype);

/// Throws Error{runtime} when the device refuses the pipeline.
MatmulKernel choose_matmul(VulkanDevice& device, const MatmulShape& shape);

/// The pipeline for operands at these addresses: the planned one unless they are less aligned.
VkPipeline pipeline_for(const MatmulKernel& kernel, std::span<const Address> w, Address x,
                        std::uint32_t w_stride, std::uint32_t x_stride, std::uint32_t k);

/// One launch of the matrices in `push`; those with n == 0 are not there.
void run_matmul(Stream& stream, const MatmulKernel& kernel, const MatmulPush& push);

}  // namespace strata::vulkan
