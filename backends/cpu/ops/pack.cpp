#include <algorithm>

#include "backends/cpu/ops/impls.h"
#include "backends/cpu/ops/matmul.h"

namespace strata::cpu {
namespace {

void run(Stream& stream, const PreparedOp&, const Operands& operands, Workspace) {
  auto& cpu = static_cast<CpuStream&>(stream);
  const TensorView& w = operands.in[0];
  std::byte* out = operands.out[0].data;
  const std::int64_t matrices = w.shape.rank > 2 ? w.shape[0] : 1;
  const std::int64_t n = matrices == 0 ? 0 : w.rows() / matrices;
  const std::int64_t panels = (n + kPanelRows - 1) / kPanelRows;
  const std::size_t panel_bytes =
      static_cast<std::size_t>(kPanelRows) * row_bytes(w.dtype, w.columns());
  // A thread packs the rows that it will multiply: its pages then lie on its memory node.
  cpu.pool().run([&](int thread, int threads) {
    const Share share = share_of(n, kPanelRows, thread, threads);
    for (std::int64_t m = 0; m < matrices; ++m)
      for (std::int64_t row = share.begin; row < share.end; row += kPanelRows)
        cpu.kernels().pack_panel(
            w.dtype, w.row(m * n + row), w.row_stride, std::min(kPanelRows, n - row), w.columns(),
            out + static_cast<std::size_t>(m * panels + row / kPanelRows) * panel_bytes,
            w.row(m * n + row + kPanelRows));
  });
}

bool supports(const OpDesc& op, const DeviceInfo&) {
  return is_quantized(op.in[0].dtype) && op.in[0].layout == Layout::rows &&
         op.out[0].layout == Layout::panels16 && op.out[0].dtype == op.in[0].dtype;
}

PreparedOp prepare(Device&, const OpDesc& op) {
  PreparedOp prepared;
  prepared.desc = op;
  prepared.run = run;
  prepared.kernel = "panels of 16 rows";
  return prepared;
}

}  // namespace

const OpImpl pack_impl{supports, prepare};

}  // namespace strata::cpu
