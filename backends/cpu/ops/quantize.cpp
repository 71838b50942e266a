#include "backends/cpu/ops/impls.h"
#include "backends/cpu/ops/matmul.h"

namespace strata::cpu {
namespace {

void run(Stream& stream, const PreparedOp&, const Operands& operands, Workspace) {
  auto& cpu = static_cast<CpuStream&>(stream);
  const TensorView& x = operands.in[0];
  const TensorView& out = operands.out[0];
  const Kernels& kernels = cpu.kernels();
  const auto convert = out.layout == Layout::rounded ? kernels.round_row : kernels.quantize_row;
  auto rows = [&](int thread, int threads) {
    const Share share = share_of(x.rows(), 1, thread, threads);
    for (std::int64_t r = share.begin; r < share.end; ++r)
      convert(reinterpret_cast<const float*>(x.row(r)), x.columns(), out.row(r));
  };
  if (x.rows() > 1)
    cpu.pool().run(rows);
  else
    rows(0, 1);  // a row takes less time than waking the pool
}

bool supports(const OpDesc& op, const DeviceInfo&) {
  return op.in[0].dtype == DType::F32 && op.in[0].layout == Layout::rows &&
         (op.out[0].layout == Layout::rounded ||
          (op.out[0].layout == Layout::quantized && op.in[0].shape.columns() % kScaleBlock == 0));
}

PreparedOp prepare(Device&, const OpDesc& op) {
  PreparedOp prepared;
  prepared.desc = op;
  prepared.run = run;
  prepared.kernel = op.out[0].layout == Layout::rounded ? "bf16" : "int8 blocks of 32";
  return prepared;
}

}  // namespace

const OpImpl quantize_impl{supports, prepare};

}  // namespace strata::cpu
