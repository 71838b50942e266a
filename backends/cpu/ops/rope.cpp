#include "backends/cpu/ops/common.h"
#include "runtime/ops/step_state.h"

namespace strata::cpu {
namespace {

bool supports(const OpDesc& op, const DeviceInfo&) {
  const Rope& rope = std::get<Rope>(op.attributes);
  return is_f32_rows(op.in[0]) && is_f32_rows(op.in[1]) && is_f32_rows(op.out[0]) &&
         rope.head_dim > 0 && rope.rot_dim >= 0 && rope.rot_dim % 2 == 0 &&
         rope.rot_dim <= rope.head_dim && op.in[0].shape.columns() % rope.head_dim == 0;
}

// Each token's turns are computed once, by the thread that has the token, into its own scratch.
void run(Stream& stream, const PreparedOp& op, const Operands& operands, Workspace workspace) {
  CpuStream& s = cpu_stream(stream);
  const Rope& rope = std::get<Rope>(op.desc.attributes);
  const TensorView& x = operands.in[0];
  const TensorView& out = operands.out[0];
  const std::int32_t* positions = operands.in[2].as<const StepState>()->positions();
  const bool interleaved = rope.style == RopeStyle::interleaved;
  float* scratch = reinterpret_cast<float*>(workspace.data());
  auto rotate = [&](std::int64_t begin, std::int64_t end, float* turns) {
    for (std::int64_t t = begin; t < end; ++t) {
      s.kernels().rope_turns(operands.in[1].as<float>(), rope.rot_dim / 2, positions[t],
                             rope.magnitude, interleaved, turns);
      s.kernels().rope(f32_row(x, t), f32_row(out, t), x.columns() / rope.head_dim, rope.head_dim,
                       rope.rot_dim, interleaved, turns);
    }
  };
  if (x.rows() * x.columns() < kWorthAPool) return rotate(0, x.rows(), scratch);
  s.run(x.rows(), [&](int thread, int threads) {
    const Share share = share_of(x.rows(), 1, thread, threads);
    rotate(share.begin, share.end, scratch + std::int64_t{thread} * 2 * rope.rot_dim);
  });
}

PreparedOp prepare(Device& device, const OpDesc& op) {
  const auto threads = static_cast<std::size_t>(static_cast<CpuDevice&>(device).pool().size());
  const auto turns = 2 * static_cast<std::size_t>(std::get<Rope>(op.attributes).rot_dim);
  return prepared(device, op, run, threads * turns * sizeof(float));
}

}  // namespace

const OpImpl rope_impl{supports, prepare};

}  // namespace strata::cpu
