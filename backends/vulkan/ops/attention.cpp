#include "backends/vulkan/ops/activation.h"
#include "backends/vulkan/ops/heads.h"

namespace strata::vulkan {
namespace {

constexpr std::uint32_t kThreads = 128;
constexpr std::uint32_t kCombineThreads = 64;
constexpr std::int32_t kMostAttentionDim = 512;
// Query rows of a tile: many share what is read of the cache, until registers run out.
constexpr std::uint32_t kMostRows = 16;

/// Up to `tokens` a step is split into `splits` parts of the context, so that few tokens fill the
/// device too; what is split has one token per tile.
struct SplitRule {
  std::int64_t tokens;
  std::uint32_t splits;
};
constexpr SplitRule kSplitRules[] = {{8, 32}, {64, 8}};

struct Push {
  Address q;
  Address k_pages;
  Address v_pages;
  Address step;
  Address out;
  Address parts;
  Address states;
  std::uint32_t tokens;
  std::uint32_t q_stride;
  std::uint32_t k_stride;
  std::uint32_t v_stride;
  std::uint32_t out_stride;
  float scale;
  std::uint32_t kv_heads;
  std::uint32_t page_tokens;
  std::uint32_t window;
};

struct CombinePush {
  Address parts;
  Address states;
  Address out;
  std::uint32_t tokens;
  std::uint32_t out_stride;
};

struct State {
  VkPipeline attend = VK_NULL_HANDLE;
  VkPipeline combine = VK_NULL_HANDLE;
  std::uint32_t splits = 1;
  std::uint32_t tile_tokens = 1;
  std::uint32_t token_groups = 1;  // work groups of one tile of tokens
  std::size_t states_offset = 0;   // into the workspace
};

std::uint32_t splits_of(std::int64_t tokens) {
  for (const SplitRule& rule : kSplitRules)
    if (tokens <= rule.tokens) return rule.splits;
  return 1;
}

// What adds up the parts can write them as the next matmul wants them; prompts have no parts.
bool can_write(const TensorDesc& out, std::int32_t head_dim) {
  return is_f32_rows(out) ||
         (is_activation(out) && head_dim % kScaleBlock == 0 && splits_of(out.shape.rows()) > 1);
}

bool supports(const OpDesc& op, const DeviceInfo&) {
  const Attention& attention = std::get<Attention>(op.attributes);
  return is_f32_rows(op.in[0]) && can_write(op.out[0], attention.head_dim) &&
         attention.window >= 0 && attention.kv_heads > 0 &&
         attention.heads % attention.kv_heads == 0 && attention.head_dim % 4 == 0 &&
         attention.head_dim <= kMostAttentionDim &&
         is_cache(op.in[1], attention.kv_heads, attention.head_dim) &&
         is_cache(op.in[2], attention.kv_heads, attention.head_dim) &&
         op.in[1].shape[2] == op.in[2].shape[2];
}

// Shared memory of shaders/attention.comp with tiles of `rows`, a little more than it takes.
std::uint32_t shared_bytes(std::uint32_t rows, std::uint32_t head_dim) {
  const std::uint32_t queries = rows * head_dim * 4;
  const std::uint32_t scratch = std::max(rows * 4 * 72 * 4, kThreads * 8 * 4);
  const std::uint32_t weights = 64 * ((rows + 3) / 4) * 16;
  return queries + scratch + weights + 2 * 64 * 4 + rows * (32 + 4 + 8 + 8) + 32;
}

std::uint32_t most_rows(const VulkanLimits& limits, std::uint32_t head_dim) {
  std::uint32_t rows = kMostRows;
  while (rows > 1 && shared_bytes(rows, head_dim) > limits.shared_bytes) rows -= 1;
  return rows;
}

void run(Stream& stream, const PreparedOp& op, const Operands& operands, Workspace workspace) {
  const Attention& attention = std::get<Attention>(op.desc.attributes);
  const auto& state = state_of<State>(op);
  const TensorView& q = operands.in[0];
  const TensorView& out = operands.out[0];
  constexpr float kLog2OfE = 1.44269504F;
  const Address parts = address(workspace);
  const Address states = address(workspace, state.states_offset);
  const Push push{address(q),
                  address(operands.in[1]),
                  address(operands.in[2]),
                  address(operands.in[3]),
                  address(out),
                  parts,
                  states,
                  size32(q.rows()),
                  stride_bytes(q),
                  stride_bytes(operands.in[1]),
                  stride_bytes(operands.in[2]),
                  stride_bytes(out),
                  attention.scale * kLog2OfE,
                  size32(attention.kv_heads),
                  size32(operands.in[1].shape[2]),
                  size32(attention.window)};
  const Grid grid =
      fold_groups(std::int64_t{groups(q.rows(), state.tile_tokens)} * state.token_groups);
  dispatch(stream, state.attend, push, grid.x, grid.y);
  if (state.splits == 1) return;
  const CombinePush combine{parts, states, address(out), size32(q.rows()), stride_bytes(out)};
  const Grid rows = fold_groups(q.rows() * attention.heads);
  dispatch(stream, state.combine, combine, rows.x, rows.y);
}

PreparedOp prepare(Device& device, const OpDesc& op) {
  const Attention& attention = std::get<Attention>(op.attributes);
  VulkanDevice& vulkan = vulkan_device(device);
  const std::uint32_t head_dim = size32(attention.head_dim);
  const std::uint32_t kv_heads = size32(attention.kv_heads);
  const std::uint32_t group = size32(attention.heads) / kv_heads;
  const std::int64_t tokens = op.in[0].shape.rows();
  const std::uint32_t rows = most_rows(vulkan.limits(), head_dim);
  auto state = std::make_shared<State>();
  state->splits = splits_of(tokens);
  const std::uint32_t tile_heads = std::min(rows, group);
  state->tile_tokens = state->splits > 1 ? 1 : rows / tile_heads;
  state->token_groups = kv_heads * groups(group, tile_heads) * state->splits;
  const std::uint32_t constants[] = {kThreads,
                                     head_dim,
                                     group,
                                     state->tile_tokens,
                                     tile_heads,
                                     cache_constant(op.in[1].dtype),
                                     cache_constant(op.in[2].dtype),
                                     state->splits,
                                     head_dim % 8 == 0 ? 8U : 4U};
  state->attend = vulkan.pipeline("attention", constants);
  if (state->splits == 1) return prepared(op, run, "attention tiles", std::move(state));
  const std::uint32_t combine[] = {kCombineThreads, layout_constant(op.out[0].layout), head_dim,
                                   size32(attention.heads), state->splits};
  state->combine = vulkan.pipeline("attention_combine", combine);
  const std::size_t parts = static_cast<std::size_t>(tokens * attention.heads) * state->splits;
  state->states_offset = parts * head_dim * sizeof(float);
  const std::size_t bytes = state->states_offset + parts * 2 * sizeof(float);
  return prepared(op, run, "attention split", std::move(state), bytes);
}

}  // namespace

const OpImpl attention_impl{supports, prepare};

}  // namespace strata::vulkan
