#include "backends/simt/overlap.h"
#include "backends/simt/rope.h"

namespace strata::STRATA_SIMT {
namespace {

struct AppendOperands {
  Rows<const float> q;  // (tokens, heads * head_dim)
  Rows<const float> k;  // (tokens, kv_heads * head_dim)
  Rows<const float> v;
  const float* q_norm;  // (head_dim) or null
  const float* k_norm;
  const float* inv_freq;
  const std::byte* step;
  CachePages k_pages;
  CachePages v_pages;
  Rows<float> out;  // like q
};

// Key or value head h of token t to its place. The turned key is put together in `scratch`
// (head_dim), because who turns an element is not who stores it.
STRATA_DEVICE void append_head(const AppendOperands& x, const RopeShape& shape, const Turn* turns,
                               int t, int h, bool is_key, std::int64_t index, float* scratch) {
  const CachePages& pages = is_key ? x.k_pages : x.v_pages;
  const float* from = (is_key ? x.k : x.v).row(t) + h * shape.head_dim;
  if (is_key) {
    turn_head(shape, turns, from, x.k_norm, scratch);
    sync_warp();
    from = scratch;
  }
  store_cache_row(from, shape.head_dim, pages.dtype, pages.row(index));
  sync_warp();
}

// Block (token, part of its heads): a warp per head, first those of q, then of k, then of v.
STRATA_KERNEL STRATA_BOUNDS(kRopeThreads) void turn_and_append(AppendOperands x, int heads,
                                                               RopeShape shape) {
  take_turn();
  auto* turns = dynamic_shared<Turn>();
  auto* scratch = reinterpret_cast<float*>(turns + shape.pairs()) + warp() * shape.head_dim;
  const Step step(x.step);
  const int t = block_x();
  const bool real = t < step.token_count();
  const int position = real ? step.position(t) : -1;
  find_turns(shape, x.inv_freq, position, turns);
  sync_block();
  const int kv_heads = x.k_pages.kv_heads;
  const int page_tokens = x.k_pages.page_tokens;
  const int page = position < 0 ? 0 : step.pages(step.sequence(t))[position / page_tokens];
  const int warps = threads_x() / lane_count();
  for (int h = block_y() * warps + warp(); h < heads + 2 * kv_heads; h += blocks_y() * warps) {
    if (h >= heads) {
      if (position < 0) break;  // padding has no place in the cache
      const bool is_key = h < heads + kv_heads;
      const int head = is_key ? h - heads : h - heads - kv_heads;
      append_head(x, shape, turns, t, head, is_key,
                  x.k_pages.index(page, head, position % page_tokens), scratch);
      continue;
    }
    float* to = x.out.row(t) + h * shape.head_dim;
    if (real) {
      turn_head(shape, turns, x.q.row(t) + h * shape.head_dim, x.q_norm, to);
      continue;
    }
    for (int i = lane(); i < shape.head_dim; i += lane_count()) to[i] = 0.0F;
  }
}

bool is_norm(const TensorDesc& norm, std::int32_t head_dim) {
  return norm.shape.rank == 0 || (is_f32_rows(norm) && norm.shape.elements() == head_dim);
}

bool supports(const OpDesc& op, const DeviceInfo&) {
  const RopeAppend& append = std::get<RopeAppend>(op.attributes);
  const Rope& rope = append.rope;
  return is_f32_rows(op.in[0]) && is_f32_rows(op.in[1]) && is_f32_rows(op.in[2]) &&
         is_f32_rows(op.in[5]) && is_f32_rows(op.out[0]) && is_rope(rope) &&
         op.in[0].shape.columns() % rope.head_dim == 0 && is_norm(op.in[3], rope.head_dim) &&
         is_norm(op.in[4], rope.head_dim) &&
         is_cache(op.inout[0], append.kv_heads, rope.head_dim) &&
         is_cache(op.inout[1], append.kv_heads, rope.head_dim) &&
         op.inout[0].shape[2] == op.inout[1].shape[2];
}

void run(Stream& stream, const PreparedOp& op, const Operands& operands, Workspace) {
  const RopeAppend& append = std::get<RopeAppend>(op.desc.attributes);
  const TensorView& q = operands.in[0];
  if (q.rows() == 0) return;
  const std::int64_t heads = q.columns() / append.rope.head_dim;
  const auto floats =
      static_cast<std::size_t>(append.rope.rot_dim + kRopeWarps * append.rope.head_dim);
  const AppendOperands x{rows_of<const float>(q),
                         rows_of<const float>(operands.in[1]),
                         rows_of<const float>(operands.in[2]),
                         operands.in[3].as<const float>(),
                         operands.in[4].as<const float>(),
                         operands.in[5].as<const float>(),
                         operands.in[6].data,
                         cache_pages(operands.inout[0]),
                         cache_pages(operands.inout[1]),
                         rows_of<float>(operands.out[0])};
  launch_overlapped(stream, turn_and_append,
                    row_grid(q.rows(), rope_tiles(q.rows(), heads + 2 * append.kv_heads)),
                    kRopeThreads, floats * sizeof(float), x, static_cast<int>(heads),
                    rope_shape(append.rope, append.eps));
}

PreparedOp prepare(Device&, const OpDesc& op) { return prepared(op, run); }

}  // namespace

const OpImpl rope_append_impl{supports, prepare};

}  // namespace strata::STRATA_SIMT
