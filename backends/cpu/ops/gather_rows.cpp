#include <cstring>

#include "backends/cpu/ops/common.h"
#include "runtime/ops/step_state.h"

namespace strata::cpu {
namespace {

bool supports(const OpDesc& op, const DeviceInfo&) {
  return is_f32_rows(op.in[0]) && is_f32_rows(op.out[0]);
}

void run(Stream& stream, const PreparedOp&, const Operands& operands, Workspace) {
  const TensorView& x = operands.in[0];
  const TensorView& out = operands.out[0];
  const std::int32_t* rows = operands.in[1].as<const StepState>()->rows();
  const std::size_t bytes = row_bytes(DType::F32, x.columns());
  each_share(cpu_stream(stream), out.rows(), out.rows() * out.columns(),
             [&](std::int64_t begin, std::int64_t end) {
               for (std::int64_t r = begin; r < end; ++r)
                 std::memcpy(out.row(r), x.row(rows[r]), bytes);
             });
}

PreparedOp prepare(Device& device, const OpDesc& op) { return prepared(device, op, run); }

}  // namespace

const OpImpl gather_rows_impl{supports, prepare};

}  // namespace strata::cpu
