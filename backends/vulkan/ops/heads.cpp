#include "backends/vulkan/ops/heads.h"

namespace strata::vulkan {
namespace {

// A head and its turns are in shared memory.
constexpr std::int32_t kMostHeadDim = 1024;
// Tokens from which on a work group has several heads, which then share the token's turns.
constexpr std::int64_t kManyTokens = 16;
constexpr std::uint32_t kManyHeads = 8;

struct State {
  VkPipeline pipeline = VK_NULL_HANDLE;
  std::uint32_t token_groups = 0;  // work groups of one token
  std::uint32_t heads = 0;         // as push constants hold them
  std::uint32_t page_tokens = 1;
};

}  // namespace

bool is_cache(const TensorDesc& pages, std::int64_t kv_heads, std::int64_t head_dim) {
  if (pages.layout != Layout::rows || pages.shape.rank != 4 || pages.shape[1] != kv_heads ||
      pages.shape[2] < 1 || pages.shape[3] != head_dim || head_dim > kMostHeadDim)
    return false;
  switch (pages.dtype) {
    case DType::F32:
    case DType::F16:
    case DType::BF16:
      return head_dim % 2 == 0;
    case DType::Q8_0:
      return head_dim % kScaleBlock == 0;
    default:
      return false;
  }
}

std::uint32_t cache_constant(DType dtype) {
  return static_cast<std::uint32_t>(dtype_info(dtype).gguf_id);
}

bool can_turn(const Rope& rope, const TensorDesc& x, const TensorDesc& inv_freq) {
  return is_f32_rows(x) && is_f32_rows(inv_freq) && rope.head_dim > 0 &&
         rope.head_dim <= kMostHeadDim && rope.rot_dim >= 0 && rope.rot_dim % 2 == 0 &&
         rope.rot_dim <= rope.head_dim && x.shape.columns() % rope.head_dim == 0;
}

PreparedOp prepare_heads(Device& device, const OpDesc& op, OpRun run, const HeadsShape& shape,
                         std::int64_t tokens) {
  VulkanDevice& vulkan = vulkan_device(device);
  const std::uint32_t group_heads = tokens >= kManyTokens ? kManyHeads : 1;
  const std::uint32_t constants[] = {row_threads(vulkan.limits(), shape.rope.head_dim),
                                     size32(shape.rope.head_dim),
                                     size32(shape.rope.rot_dim),
                                     shape.rope.style == RopeStyle::interleaved ? 1U : 0U,
                                     group_heads,
                                     cache_constant(shape.k_dtype),
                                     cache_constant(shape.v_dtype),
                                     shape.q_norm ? 1U : 0U,
                                     shape.k_norm ? 1U : 0U};
  auto state = std::make_shared<State>();
  state->pipeline = vulkan.pipeline("rope_append", constants);
  state->token_groups = groups(shape.heads + 2 * shape.kv_heads, group_heads);
  state->heads = shape.heads | shape.kv_heads << 16;
  state->page_tokens = shape.page_tokens;
  return prepared(op, run, "rope_append", std::move(state));
}

void run_heads(Stream& stream, const PreparedOp& op, HeadsPush push) {
  const auto& state = state_of<State>(op);
  push.heads = state.heads;
  push.page_tokens = state.page_tokens;
  const Grid grid = fold_groups(std::int64_t{push.tokens} * state.token_groups);
  dispatch(stream, state.pipeline, push, grid.x, grid.y);
}

}  // namespace strata::vulkan
