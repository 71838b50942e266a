#include "backends/cpu/ops/common.h"
#include "runtime/ops/candidates.h"

namespace strata::cpu {
namespace {

bool supports(const OpDesc& op, const DeviceInfo&) {
  return is_f32_rows(op.in[0]) && is_i32_rows(op.out[0]) && op.in[0].shape.columns() >= 1 &&
         std::get<TopCandidates>(op.attributes).count >= 1;
}

void run(Stream& stream, const PreparedOp& op, const Operands& operands, Workspace) {
  const std::int64_t count = std::get<TopCandidates>(op.desc.attributes).count;
  const TensorView& logits = operands.in[0];
  const TensorView& out = operands.out[0];
  CpuStream& cpu = cpu_stream(stream);
  each_share(cpu, logits.rows(), logits.shape.elements(),
             [&](std::int64_t begin, std::int64_t end) {
               for (std::int64_t r = begin; r < end; ++r) {
                 auto* const ids = reinterpret_cast<std::int32_t*>(out.row(r));
                 float* const values = f32_row(out, r) + count;
                 cpu.kernels().top_candidates(f32_row(logits, r), logits.columns(), count, ids,
                                              values, values + count, ids + 2 * count + 1);
               }
             });
}

PreparedOp prepare(Device& device, const OpDesc& op) { return prepared(device, op, run); }

}  // namespace

const OpImpl top_candidates_impl{supports, prepare};

}  // namespace strata::cpu
