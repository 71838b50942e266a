#include "backends/simt/common.h"
#include "backends/simt/overlap.h"
#include "backends/simt/rows.h"

namespace strata::STRATA_SIMT {
namespace {

constexpr int kThreads = 128;

// Block (row, tile of 4 * kThreads columns) of x (rows, columns).
template <Layout layout>
STRATA_KERNEL STRATA_BOUNDS(kThreads) void quantize_rows(FourRows x, FourRows out, int columns) {
  take_turn();
  const int row = block_x();
  const int column = 4 * (block_y() * kThreads + thread_x());
  store_activation<layout>(out, row, column, columns,
                           load_four(x.row(row), x.wide, column, columns));
}

bool supports(const OpDesc& op, const DeviceInfo&) {
  return is_f32_rows(op.in[0]) && op.out[0].layout != Layout::rows && is_activation(op.out[0]);
}

void run(Stream& stream, const PreparedOp&, const Operands& operands, Workspace) {
  const TensorView& out = operands.out[0];
  if (out.shape.elements() == 0) return;
  const auto kernel = out.layout == Layout::quantized ? quantize_rows<Layout::quantized>
                                                      : quantize_rows<Layout::rounded>;
  launch_overlapped(stream, kernel, row_grid(out.rows(), groups(out.columns(), 4 * kThreads)),
                    kThreads, 0, four_rows(operands.in[0]), four_rows(out),
                    static_cast<int>(out.columns()));
}

PreparedOp prepare(Device&, const OpDesc& op) {
  return prepared(op, run, op.out[0].layout == Layout::rounded ? "bf16" : "int8 blocks of 32");
}

}  // namespace

const OpImpl quantize_impl{supports, prepare};

}  // namespace strata::STRATA_SIMT
