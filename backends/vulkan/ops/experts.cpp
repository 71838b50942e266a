#include "backends/vulkan/ops/experts.h"

#include <algorithm>

#include "backends/vulkan/ops/matmul_tiles.h"

namespace strata::vulkan {
namespace {

constexpr std::uint32_t kTileBytes = 12;     // an entry of the list of tiles
constexpr std::int64_t kMostRoutes = 65535;  // work groups along y that every device takes

struct State {
  MatmulKernel matmul;
  VkPipeline list_tiles{};  // experts_tiles, where the matmul has tiles
  std::uint32_t list_lanes = 1;
  std::uint32_t bound = 0;     // tiles at most, at capacity
  std::size_t list_bytes = 0;  // of the workspace; behind it are x's halves
};

// Every expert may have one tile that is not full.
std::uint32_t tile_bound(std::int64_t routes, std::int64_t experts, std::uint32_t tile) {
  return size32(std::min(routes, routes / tile + experts));
}

struct TilesPush {
  Address offsets;
  Address tiles;
  std::uint32_t experts;
  std::uint32_t bound;
  std::uint32_t tile_tokens;
};

}  // namespace

bool experts_support(const OpDesc& op) {
  return matmul_supports(op.in[0], op.in[1], op.out[0]) && op.out[0].shape.rows() <= kMostRoutes;
}

PreparedOp prepare_experts(Device& device, const OpDesc& op, OpRun run, std::int32_t used,
                           bool gated) {
  VulkanDevice& vulkan = vulkan_device(device);
  const TensorDesc& x = op.in[0];
  const TensorDesc& w = op.in[1];
  MatmulShape shape{w.dtype, w.layout, x.layout, w.shape.columns(), 0};
  shape.gated = gated;
  shape.experts = w.shape[0];
  shape.routes = op.out[0].shape.rows();
  shape.tokens = shape.routes / used;
  shape.n = w.shape[1];
  auto state = std::make_shared<State>();
  state->matmul = choose_matmul(vulkan, shape);
  const std::string_view name = state->matmul.name;
  std::size_t workspace_bytes = 0;
  if (state->matmul.tiles) {
    state->list_lanes = std::min(256U, vulkan.limits().max_invocations);
    const std::uint32_t lanes[] = {state->list_lanes};
    state->list_tiles = vulkan.pipeline("experts_tiles", lanes);
    state->bound = tile_bound(shape.routes, shape.experts, state->matmul.constants.tokens);
    state->list_bytes = (std::size_t{state->bound} * kTileBytes + 15) / 16 * 16;
    workspace_bytes = state->list_bytes + half_rows_bytes(state->matmul, x.shape.rows(), shape.k);
  }
  PreparedOp experts = prepared(op, run, name, std::move(state), workspace_bytes);
  experts.wanted[0] = wanted_x(vulkan.limits(), w.dtype, shape.tokens);
  experts.wanted[1] = wanted_w(w.dtype);
  if (gated) experts.wanted[2] = experts.wanted[1];
  return experts;
}

void run_experts(Stream& stream, const PreparedOp& op, const ExpertsOperands& operands,
                 Workspace workspace) {
  const State& state = state_of<State>(op);
  const TensorView& w = operands.w;
  const std::int64_t n = w.shape[1];
  const std::int64_t panel_rows = (n + kPanelRows - 1) / kPanelRows * kPanelRows;
  const std::uint32_t routes = size32(operands.out.rows());
  if (routes == 0 || w.shape[0] == 0) return;
  ExpertsPush push;
  push.x = address(operands.x);
  push.w = {address(w), operands.up == nullptr ? Address{} : address(*operands.up)};
  push.out = address(operands.out);
  push.offsets = address(operands.offsets);
  push.order = address(operands.order);
  push.k = size32(w.columns());
  push.x_stride = stride_bytes(operands.x);
  push.w_stride = stride_bytes(w);
  push.out_stride = stride_bytes(operands.out);
  push.n = size32(n);
  push.expert_rows = size32(is_panelled(w.layout) ? panel_rows : n);
  push.experts = size32(w.shape[0]);
  push.routes = routes;
  push.routes_per_x = operands.shared_input ? size32(operands.used) : 1;
  set_x(push, half_rows(stream, state.matmul, {push.x, push.x_stride}, size32(operands.x.rows()),
                        push.k, address(workspace, state.list_bytes)));
  const VkPipeline pipeline =
      pipeline_for(state.matmul, push.w, push.x, push.w_stride, push.x_stride, push.k);
  const std::uint32_t row_groups = groups(n, state.matmul.out_rows());
  if (!state.matmul.tiles) return dispatch(stream, pipeline, push, row_groups, routes);
  const std::uint32_t tile = state.matmul.constants.tokens;
  const std::uint32_t bound = std::min(state.bound, tile_bound(routes, w.shape[0], tile));
  push.tiles = address(workspace);
  dispatch(stream, state.list_tiles, TilesPush{push.offsets, push.tiles, push.experts, bound, tile},
           1);
  dispatch(stream, pipeline, push, row_groups, bound);
}

}  // namespace strata::vulkan
