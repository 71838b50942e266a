#include "backends/simt/cache.h"
#include "backends/simt/common.h"
#include "backends/simt/overlap.h"
#include "backends/simt/step.h"

namespace strata::STRATA_SIMT {
namespace {

constexpr int kThreads = 128;

// Block (token); a warp per head of k and of v, (tokens, kv_heads * head_dim). A token at a
// negative position is padding: it has no place in the cache.
STRATA_KERNEL STRATA_BOUNDS(kThreads) void append_heads(Rows<const float> k, Rows<const float> v,
                                                        const std::byte* step_block,
                                                        CachePages k_pages, CachePages v_pages,
                                                        int head_dim) {
  take_turn();
  const Step step(step_block);
  const int t = block_x();
  if (t >= step.token_count()) return;
  const int position = step.position(t);
  if (position < 0) return;
  const int page_tokens = k_pages.page_tokens;
  const int page = step.pages(step.sequence(t))[position / page_tokens];
  const int slot = position % page_tokens;
  const int warps = threads_x() / lane_count();
  const int heads = k_pages.kv_heads;
  for (int h = block_y() * warps + warp(); h < 2 * heads; h += blocks_y() * warps) {
    const bool is_key = h < heads;
    const int head = is_key ? h : h - heads;
    const CachePages& pages = is_key ? k_pages : v_pages;
    const float* from = (is_key ? k : v).row(t) + head * head_dim;
    store_cache_row(from, head_dim, pages.dtype, pages.row(pages.index(page, head, slot)));
  }
}

bool supports(const OpDesc& op, const DeviceInfo&) {
  const KvAppend& append = std::get<KvAppend>(op.attributes);
  return is_f32_rows(op.in[0]) && is_f32_rows(op.in[1]) &&
         is_cache(op.inout[0], append.kv_heads, append.head_dim) &&
         is_cache(op.inout[1], append.kv_heads, append.head_dim) &&
         op.inout[0].shape[2] == op.inout[1].shape[2];
}

void run(Stream& stream, const PreparedOp& op, const Operands& operands, Workspace) {
  const KvAppend& append = std::get<KvAppend>(op.desc.attributes);
  const std::int64_t tokens = operands.in[0].rows();
  if (tokens == 0) return;
  const std::int64_t tiles = groups(2 * append.kv_heads, kThreads / kMaxLanes);
  launch_overlapped(stream, append_heads, row_grid(tokens, tiles), kThreads, 0,
                    rows_of<const float>(operands.in[0]), rows_of<const float>(operands.in[1]),
                    operands.in[2].data, cache_pages(operands.inout[0]),
                    cache_pages(operands.inout[1]), append.head_dim);
}

PreparedOp prepare(Device&, const OpDesc& op) { return prepared(op, run); }

}  // namespace

const OpImpl kv_append_impl{supports, prepare};

}  // namespace strata::STRATA_SIMT
