#include "backends/vulkan/ops/matmul_tiles.h"

#include <algorithm>
#include <string>

#include "backends/vulkan/shader_table.h"

namespace strata::vulkan {
namespace {

// Of shaders/include/tile_shape.glsl: the columns in shared memory, and a row's bytes there.
constexpr std::uint32_t kSlab = 32;
constexpr std::uint32_t kPitch = 2 * (kSlab + 8);
// Of shaders/include/half_rows.glsl.
constexpr std::int64_t kHalfColumns = 32;
constexpr std::size_t kExponentBytes = 16;
constexpr std::uint32_t kHalfRowLanes = 128;
// Rows, and rows of x, of a subgroup are multiples of this.
constexpr std::uint32_t kSubTile = 32;

// How a work group's rows of w and of x are shared out to subgroups.
struct TileSize {
  std::uint32_t rows;
  std::uint32_t tokens;
  std::uint32_t sub_rows;
  std::uint32_t sub_tokens;
  std::uint32_t subgroups() const { return rows / sub_rows * (tokens / sub_tokens); }
};
constexpr TileSize kWide{128, 128, kSubTile, 2 * kSubTile};
constexpr TileSize kFlat{128, 32, kSubTile, kSubTile};
// A CPU that plays the GPU is in no need of large tiles.
constexpr TileSize kSmall{64, 32, kSubTile, kSubTile};

bool fits(const VulkanLimits& limits, const TileSize& tile, const CooperativeShape& matrix) {
  const std::uint32_t shared = (tile.rows + tile.tokens) * kPitch +
                               tile.subgroups() * matrix.m * matrix.n * 4 +
                               (tile.tokens + 4) * 4;  // routes
  return tile.subgroups() * limits.min_subgroup_size <= limits.max_invocations &&
         shared <= limits.shared_bytes;
}

// Wide tiles read x and w less often, but there must be enough of them for the whole device.
bool has_wide_tiles(const MatmulKernel& kernel, const MatmulShape& shape, std::int64_t tokens) {
  if (tokens <= 2 * kFlat.tokens) return false;
  const std::int64_t rows = kWide.rows / (shape.gated ? 2 : 1);
  const std::int64_t tiles = std::int64_t{groups(shape.n, rows)} * groups(tokens, kWide.tokens) *
                             std::max<std::int64_t>(shape.experts, 1);
  return tiles >= kernel.device->info().compute_units;
}

struct TileShader {
  std::string_view name;
  std::string_view experts;
};

TileShader tile_shader(const VulkanLimits& limits) {
  return limits.emulates_coopmat ? TileShader{"gemm_emulated", "gemm_experts_emulated"}
                                 : TileShader{"gemm_coopmat", "gemm_experts_coopmat"};
}

}  // namespace

const CooperativeShape* tile_matrix(const VulkanLimits& limits) {
  const CooperativeShape* best = nullptr;
  for (const CooperativeShape& shape : limits.cooperative_shapes) {
    if (shape.elements != CooperativeShape::Elements::f16) continue;
    // Pairs of gate and up share a subgroup's rows.
    if (kSubTile % (2 * shape.m) != 0 || kSubTile % shape.n != 0 || kSlab % shape.k != 0) continue;
    if (shape.m * shape.n % limits.min_subgroup_size != 0) continue;
    if (best == nullptr || shape.m * shape.n * shape.k > best->m * best->n * best->k) best = &shape;
  }
  return best;
}

std::string why_no_tiles(const VulkanLimits& limits, bool software) {
  std::string why = limits.has_coopmat ? "" : limits.why_no_coopmat;
  const CooperativeShape* const matrix = tile_matrix(limits);
  if (limits.has_coopmat && matrix == nullptr)
    why = "none that the device offers, of f16 with sums in f32, divides our tiles";
  else if (matrix != nullptr && !fits(limits, kFlat, *matrix) &&
           !(software && fits(limits, kSmall, *matrix)))
    why = "our tiles do not fit into the shared memory or the work groups of the device";
  if (!has_shader(tile_shader(limits).name))
    why += std::string(why.empty() ? "" : "; and ") +
           "this build has no shaders for them: its glslc was older than 2024";
  return why;
}

bool plan_tiles(MatmulKernel& kernel, const MatmulShape& shape) {
  const VulkanLimits& limits = kernel.device->limits();
  const CooperativeShape* matrix = tile_matrix(limits);
  if (matrix == nullptr || shape.dtype == DType::F32 || shape.x != Layout::rows) return false;
  const TileShader shader = tile_shader(limits);
  const std::string_view name = shape.experts > 0 ? shader.experts : shader.name;
  if (!has_shader(name)) return false;
  // Routes fall on experts unevenly: tiles for their mean.
  const std::int64_t tokens = shape.experts > 0 ? shape.routes / shape.experts : shape.tokens;
  TileSize tile = kernel.device->info().software          ? kSmall
                  : has_wide_tiles(kernel, shape, tokens) ? kWide
                                                          : kFlat;
  if (!fits(limits, tile, *matrix)) tile = kFlat;
  if (!fits(limits, tile, *matrix)) return false;
  kernel.tiles = true;
  kernel.shader = name;
  kernel.name = limits.emulates_coopmat ? "gemm f16 emulated" : "gemm f16 coopmat";
  const std::uint32_t lanes[] = {std::min(kHalfRowLanes, limits.max_invocations)};
  kernel.half_rows = kernel.device->pipeline("half_rows", lanes);
  MatmulConstants& c = kernel.constants;
  c.rows = tile.rows;
  c.tokens = tile.tokens;
  c.parts = tile.sub_rows;
  c.token_quads = tile.sub_tokens;
  c.m = matrix->m;
  c.n = matrix->n;
  c.k = matrix->k;
  c.subgroup = limits.min_subgroup_size;
  c.lanes = tile.subgroups() * c.subgroup;
  return true;
}

namespace {

std::size_t half_row_bytes(std::int64_t k) {
  return static_cast<std::size_t>((k + kHalfColumns - 1) / kHalfColumns * kHalfColumns * 2) +
         kExponentBytes;
}

struct HalfRowsPush {
  Address x;
  Address halves;
  std::uint32_t rows;
  std::uint32_t columns;
  std::uint32_t x_stride;
  std::uint32_t stride;
};

}  // namespace

std::size_t half_rows_bytes(const MatmulKernel& kernel, std::int64_t rows, std::int64_t k) {
  return kernel.half_rows == VK_NULL_HANDLE ? 0
                                            : static_cast<std::size_t>(rows) * half_row_bytes(k);
}

XRows half_rows(Stream& stream, const MatmulKernel& kernel, XRows x, std::uint32_t rows,
                std::uint32_t k, Address into) {
  if (kernel.half_rows == VK_NULL_HANDLE) return x;
  const XRows made{into, static_cast<std::uint32_t>(half_row_bytes(k))};
  const Grid grid = fold_groups(rows);
  dispatch(stream, kernel.half_rows, HalfRowsPush{x.address, into, rows, k, x.stride, made.stride},
           grid.x, grid.y);
  return made;
}

}  // namespace strata::vulkan
