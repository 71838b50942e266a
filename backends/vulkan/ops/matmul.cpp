#include "backends/vulkan/ops/matmul.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "backends/vulkan/ops/matmul_tiles.h"

namespace strata::vulkan {
namespace {

constexpr std::uint32_t kAlign = 16;  // bytes of the widest loads
constexpr std::uint32_t kGemmRows = 64;
constexpr std::uint32_t kMostPieces = 16;  // of a unit

bool is_weight_dtype(DType dtype) { return dtype != DType::I8 && dtype != DType::I32; }

// Columns of a unit, as shaders/include/weights.glsl has them.
std::int64_t unit_columns(DType dtype) {
  switch (dtype) {
    case DType::F32:
      return 4;
    case DType::F16:
    case DType::BF16:
      return 8;
    case DType::Q2_K:
    case DType::Q3_K:
    case DType::Q6_K:
      return 64;
    default:
      return 32;
  }
}

// Lanes that share a row: about four units each, a subgroup at least.
std::uint32_t gemv_lanes(const VulkanLimits& limits, bool subgroups, std::int64_t units) {
  const std::uint32_t most =
      subgroups ? std::min({limits.max_invocations, 8 * limits.subgroup_size, 256U})
                : std::min(limits.max_invocations, 64U);
  std::uint32_t lanes = std::min(limits.subgroup_size, most);
  while (2 * lanes <= most && 8 * static_cast<std::int64_t>(lanes) <= units) lanes *= 2;
  return lanes;
}

struct GemvShader {
  std::string_view name;
  std::string_view experts;
};

GemvShader gemv_shader(bool int8, bool fast) {
  if (int8)
    return fast ? GemvShader{"gemv_int8", "gemv_experts_int8"}
                : GemvShader{"gemv_int8_plain", "gemv_experts_int8_plain"};
  return fast ? GemvShader{"gemv", "gemv_experts"} : GemvShader{"gemv_plain", "gemv_experts_plain"};
}

void plan_gemv(MatmulKernel& kernel, const MatmulShape& shape) {
  const VulkanLimits& limits = kernel.device->limits();
  const bool int8 = shape.x == Layout::quantized;
  const bool fast = limits.has_subgroup_arithmetic && (!int8 || limits.has_int_dot);
  const GemvShader shader = gemv_shader(int8, fast);
  kernel.shader = shape.experts > 0 ? shader.experts : shader.name;
  kernel.name = int8 ? "gemv int8" : "gemv f32";
  MatmulConstants& c = kernel.constants;
  c.lanes = gemv_lanes(limits, fast, shape.k / unit_columns(shape.dtype));
  if (int8) c.lanes = std::max(c.lanes, 8U);  // that make a block int8
  c.token_quads = shape.quantized ? 1 : 0;
  const auto tokens = static_cast<std::uint32_t>(std::min(shape.tokens, kGemvTokens));
  c.tokens = shape.experts > 0 ? 1 : std::bit_ceil(std::max(tokens, 1U));
  // A CPU that plays the GPU compiles longer than it runs: little code for it.
  const bool software = kernel.device->info().software;
  c.rows = c.tokens <= 2 && !software ? 4 : 2;
  c.unroll = software ? 1 : kMostPieces;
  c.parts = fast ? std::max(1U, c.lanes / limits.min_subgroup_size) : c.lanes;
}

void plan_gemm(MatmulKernel& kernel, const MatmulShape& shape) {
  kernel.tiles = true;
  kernel.shader = shape.experts > 0 ? "gemm_experts" : "gemm";
  kernel.name = "gemm f32";
  // Routes fall on experts unevenly: tiles for their mean.
  const std::int64_t tokens = shape.experts > 0 ? shape.routes / shape.experts : shape.tokens;
  MatmulConstants& c = kernel.constants;
  c.rows = kGemmRows;
  c.tokens = tokens <= 16 ? 16 : tokens <= 32 ? 32 : 64;
  const bool software = kernel.device->info().software;
  c.parts = software ? 1 : 2;
  c.token_quads = 1;
  c.unroll = software ? 1 : 4;
  c.lanes = c.rows / (4 * c.parts) * (c.tokens / (4 * c.token_quads));
}

VkPipeline make_pipeline(const MatmulKernel& kernel, const MatmulConstants& constants) {
  std::array<std::uint32_t, sizeof(MatmulConstants) / sizeof(std::uint32_t)> values{};
  static_assert(sizeof(values) == sizeof(constants));
  std::memcpy(values.data(), &constants, sizeof(constants));
  return kernel.device->pipeline(kernel.shader, values, constants.subgroup);
}

}  // namespace

bool matmul_supports(const TensorDesc& x, const TensorDesc& w, const TensorDesc& out) {
  if (!is_f32_rows(out) || !is_weight_dtype(w.dtype)) return false;
  if (w.layout != Layout::rows && (w.layout != Layout::planes16 || !is_quantized(w.dtype)))
    return false;
  if (x.layout == Layout::quantized) return x.dtype == DType::I8 && is_quantized(w.dtype);
  return is_f32_rows(x);
}

Layout wanted_x(const VulkanLimits& limits, DType dtype, std::int64_t tokens) {
  const bool int8 = limits.has_fast_int_dot && limits.has_subgroup_arithmetic;
  return int8 && is_quantized(dtype) && tokens <= kGemvTokens ? Layout::quantized : Layout::rows;
}

Layout wanted_w(DType dtype) { return is_quantized(dtype) ? Layout::planes16 : Layout::rows; }

MatmulKernel choose_matmul(VulkanDevice& device, const MatmulShape& shape) {
  MatmulKernel kernel;
  kernel.device = &device;
  if (shape.tokens <= kGemvTokens || shape.x == Layout::quantized)
    plan_gemv(kernel, shape);
  else if (!plan_tiles(kernel, shape))
    plan_gemm(kernel, shape);
  MatmulConstants& c = kernel.constants;
  c.dtype = dtype_info(shape.dtype).gguf_id;
  c.planes = shape.w == Layout::planes16 ? 1 : 0;
  c.w_aligned = !is_quantized(shape.dtype) && shape.k % unit_columns(shape.dtype) == 0 ? 1 : 0;
  c.x_aligned = shape.k % 4 == 0 ? 1 : 0;
  c.gated = shape.gated ? 1 : 0;
  kernel.pipeline = make_pipeline(kernel, c);
  return kernel;
}

VkPipeline pipeline_for(const MatmulKernel& kernel, std::span<const Address> w, Address x,
                        std::uint32_t w_stride, std::uint32_t x_stride, std::uint32_t k) {
  MatmulConstants c = kernel.constants;
  if (x.value % kAlign != 0 || x_stride % kAlign != 0 || k % 4 != 0) c.x_aligned = 0;
  for (const Address& matrix : w)
    if (matrix.value % kAlign != 0 || w_stride % kAlign != 0) c.w_aligned = 0;
  if (c.x_aligned == kernel.constants.x_aligned && c.w_aligned == kernel.constants.w_aligned)
    return kernel.pipeline;
  return make_pipeline(kernel, c);
}

void run_matmul(Stream& stream, const MatmulKernel& kernel, const MatmulPush& push) {
  const VkPipeline pipeline =
      pipeline_for(kernel, push.w, push.x, push.w_stride, push.x_stride, push.k);
  const std::uint32_t token_groups = groups(push.rows, kernel.constants.tokens);
  if (kernel.tiles) {
    dispatch(stream, pipeline, push, groups(push.n[0], kernel.out_rows()), token_groups);
    return;
  }
  std::int64_t row_groups = 0;
  for (const std::uint32_t n : push.n) row_groups += groups(n, kernel.out_rows());
  const Grid grid = fold_groups(row_groups);
  dispatch(stream, pipeline, push, grid.x, grid.y, token_groups);
}

}  // namespace strata::vulkan
