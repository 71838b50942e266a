#include "backends/simt/overlap.h"
#include "backends/simt/rope.h"

namespace strata::STRATA_SIMT {
namespace {

// Block (token, part of its heads): a warp per head of x (tokens, heads * head_dim).
STRATA_KERNEL STRATA_BOUNDS(kRopeThreads) void turn_heads(Rows<const float> x,
                                                          const float* inv_freq,
                                                          const std::byte* step_block,
                                                          Rows<float> out, int heads,
                                                          RopeShape shape) {
  take_turn();
  auto* turns = dynamic_shared<Turn>();
  const Step step(step_block);
  const int t = block_x();
  const bool real = t < step.token_count();
  find_turns(shape, inv_freq, real ? step.position(t) : 0, turns);
  sync_block();
  const int warps = threads_x() / lane_count();
  for (int h = block_y() * warps + warp(); h < heads; h += blocks_y() * warps) {
    float* to = out.row(t) + h * shape.head_dim;
    if (real) {
      turn_head(shape, turns, x.row(t) + h * shape.head_dim, nullptr, to);
      continue;
    }
    for (int i = lane(); i < shape.head_dim; i += lane_count()) to[i] = 0.0F;
  }
}

bool supports(const OpDesc& op, const DeviceInfo&) {
  const Rope& rope = std::get<Rope>(op.attributes);
  return is_f32_rows(op.in[0]) && is_f32_rows(op.in[1]) && is_f32_rows(op.out[0]) &&
         is_rope(rope) && op.in[0].shape.columns() % rope.head_dim == 0;
}

void run(Stream& stream, const PreparedOp& op, const Operands& operands, Workspace) {
  const Rope& rope = std::get<Rope>(op.desc.attributes);
  const TensorView& x = operands.in[0];
  if (x.shape.elements() == 0) return;
  const std::int64_t heads = x.columns() / rope.head_dim;
  launch_overlapped(stream, turn_heads, row_grid(x.rows(), rope_tiles(x.rows(), heads)),
                    kRopeThreads, static_cast<std::size_t>(rope.rot_dim / 2) * sizeof(Turn),
                    rows_of<const float>(x), operands.in[1].as<const float>(), operands.in[2].data,
                    rows_of<float>(operands.out[0]), static_cast<int>(heads),
                    rope_shape(rope, 0.0F));
}

PreparedOp prepare(Device&, const OpDesc& op) { return prepared(op, run); }

}  // namespace

const OpImpl rope_impl{supports, prepare};

}  // namespace strata::STRATA_SIMT
