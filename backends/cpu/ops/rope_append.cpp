#include "backends/cpu/ops/cache.h"
#include "backends/cpu/ops/common.h"
#include "runtime/ops/step_state.h"

namespace strata::cpu {
namespace {

bool is_norm(const TensorDesc& norm, std::int32_t head_dim) {
  return norm.shape.rank == 0 || (is_f32_rows(norm) && norm.shape.elements() == head_dim);
}

bool supports(const OpDesc& op, const DeviceInfo&) {
  const RopeAppend& append = std::get<RopeAppend>(op.attributes);
  const Rope& rope = append.rope;
  return is_f32_rows(op.in[0]) && is_f32_rows(op.in[1]) && is_f32_rows(op.in[2]) &&
         is_f32_rows(op.in[5]) && is_f32_rows(op.out[0]) && rope.head_dim > 0 &&
         rope.rot_dim >= 0 && rope.rot_dim % 2 == 0 && rope.rot_dim <= rope.head_dim &&
         op.in[0].shape.columns() % rope.head_dim == 0 && is_norm(op.in[3], rope.head_dim) &&
         is_norm(op.in[4], rope.head_dim) &&
         is_cache(op.inout[0], append.kv_heads, rope.head_dim) &&
         is_cache(op.inout[1], append.kv_heads, rope.head_dim);
}

constexpr std::int64_t padded(std::int64_t floats) { return (floats + 15) / 16 * 16; }

// Floats of one thread's scratch: a token's turns, then its keys.
std::int64_t turns_floats(const RopeAppend& append) { return padded(2 * append.rope.rot_dim); }
std::int64_t scratch_floats(const RopeAppend& append) {
  return turns_floats(append) + padded(std::int64_t{append.kv_heads} * append.rope.head_dim);
}

// One thread's view of a run. Each step is the kernel of the primitive that it stands for, so the
// bits are those of rms_norm, rope and kv_append one after the other.
struct Task {
  const RopeAppend& append;
  const Operands& operands;
  const Kernels& kernels;
  const StepState& step;
  float* scratch;

  void turn(const float* x, const TensorView& norm, std::int64_t heads, float* out) const {
    const Rope& rope = append.rope;
    if (norm.shape.rank > 0) {
      kernels.rms_norm(x, norm.as<float>(), out, heads, rope.head_dim, append.eps);
      x = out;
    }
    kernels.rope(x, out, heads, rope.head_dim, rope.rot_dim, rope.style == RopeStyle::interleaved,
                 scratch);
  }

  void store(const TensorView& pages, const float* row, std::int64_t page,
             std::int64_t slot) const {
    const std::int64_t dim = append.rope.head_dim;
    for (std::int64_t h = 0; h < append.kv_heads; ++h)
      kernels.cache_store(pages.dtype, row + h * dim, dim, cache_row(pages, page, h, slot));
  }

  void run_token(std::int64_t t) const {
    const Rope& rope = append.rope;
    const std::int32_t position = step.positions()[t];
    kernels.rope_turns(operands.in[5].as<float>(), rope.rot_dim / 2, position, rope.magnitude,
                       rope.style == RopeStyle::interleaved, scratch);
    const TensorView& q = operands.in[0];
    turn(f32_row(q, t), operands.in[3], q.columns() / rope.head_dim, f32_row(operands.out[0], t));
    if (position < 0) return;  // padding has no place in the cache
    float* keys = scratch + turns_floats(append);
    turn(f32_row(operands.in[1], t), operands.in[4], append.kv_heads, keys);
    const std::int64_t page = step.pages(step.sequences()[t])[position / step.page_tokens];
    const std::int64_t slot = position % step.page_tokens;
    store(operands.inout[0], keys, page, slot);
    store(operands.inout[1], f32_row(operands.in[2], t), page, slot);
  }
};

void run(Stream& stream, const PreparedOp& op, const Operands& operands, Workspace workspace) {
  CpuStream& s = cpu_stream(stream);
  const RopeAppend& append = std::get<RopeAppend>(op.desc.attributes);
  float* scratch = reinterpret_cast<float*>(workspace.data());
  const std::int64_t tokens = operands.in[0].rows();
  const auto run_share = [&](int thread, int threads) {
    const Task task{append, operands, s.kernels(), *operands.in[6].as<const StepState>(),
                    scratch + thread * scratch_floats(append)};
    const Share share = share_of(tokens, 1, thread, threads);
    for (std::int64_t t = share.begin; t < share.end; ++t) task.run_token(t);
  };
  if (tokens * (operands.in[0].columns() + 2 * operands.in[1].columns()) < kWorthAPool)
    run_share(0, 1);
  else
    s.run(tokens, run_share);
}

PreparedOp prepare(Device& device, const OpDesc& op) {
  const auto threads = static_cast<std::size_t>(static_cast<CpuDevice&>(device).pool().size());
  const auto floats = static_cast<std::size_t>(scratch_floats(std::get<RopeAppend>(op.attributes)));
  return prepared(device, op, run, threads * floats * sizeof(float));
}

}  // namespace

const OpImpl rope_append_impl{supports, prepare};

}  // namespace strata::cpu
