#include "backends/cpu/ops/common.h"
#include "backends/cpu/ops/matmul.h"
#include "runtime/ops/step_state.h"

namespace strata::cpu {
namespace {

void run(Stream& stream, const PreparedOp&, const Operands& operands, Workspace) {
  auto& cpu = static_cast<CpuStream&>(stream);
  const TensorView& table = operands.in[0];
  const std::int32_t* tokens = operands.in[1].as<const StepState>()->tokens();
  const TensorView& out = operands.out[0];
  // One row is never worth waking the pool.
  const std::int64_t elements = out.rows() == 1 ? 0 : out.rows() * table.columns();
  each_share(cpu, out.rows(), elements, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t t = begin; t < end; ++t)
      cpu.kernels().dequantize_row(table.dtype, table.row(tokens[t]), table.columns(),
                                   reinterpret_cast<float*>(out.row(t)));
  });
}

bool supports(const OpDesc& op, const DeviceInfo&) {
  return is_weight_dtype(op.in[0].dtype) && op.in[0].layout == Layout::rows &&
         op.out[0].dtype == DType::F32;
}

PreparedOp prepare(Device&, const OpDesc& op) {
  PreparedOp prepared;
  prepared.desc = op;
  prepared.run = run;
  prepared.kernel = "dequantize rows";
  return prepared;
}

}  // namespace

const OpImpl embed_impl{supports, prepare};

}  // namespace strata::cpu
