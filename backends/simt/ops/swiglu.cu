#include "backends/simt/common.h"
#include "backends/simt/overlap.h"
#include "backends/simt/rows.h"

namespace strata::STRATA_SIMT {
namespace {

constexpr int kThreads = 128;

// Block (row, tile of 4 * kThreads columns); all are (rows, columns).
template <Layout layout>
STRATA_KERNEL STRATA_BOUNDS(kThreads) void swiglu_rows(FourRows gate, FourRows up, FourRows out,
                                                       int columns) {
  take_turn();
  const int row = block_x();
  const int column = 4 * (block_y() * kThreads + thread_x());
  const Four g = load_four(gate.row(row), gate.wide, column, columns);
  Four y = load_four(up.row(row), up.wide, column, columns);
  for (int i = 0; i < 4; ++i) y.v[i] *= g.v[i] / (1.0F + exp_of(-g.v[i]));
  store_activation<layout>(out, row, column, columns, y);
}

bool supports(const OpDesc& op, const DeviceInfo&) {
  return is_f32_rows(op.in[0]) && is_f32_rows(op.in[1]) && is_activation(op.out[0]);
}

void run(Stream& stream, const PreparedOp&, const Operands& operands, Workspace) {
  const TensorView& out = operands.out[0];
  if (out.shape.elements() == 0) return;
  const auto kernel = out.layout == Layout::quantized ? swiglu_rows<Layout::quantized>
                      : out.layout == Layout::rounded ? swiglu_rows<Layout::rounded>
                                                      : swiglu_rows<Layout::rows>;
  launch_overlapped(stream, kernel, row_grid(out.rows(), groups(out.columns(), 4 * kThreads)),
                    kThreads, 0, four_rows(operands.in[0]), four_rows(operands.in[1]),
                    four_rows(out), static_cast<int>(out.columns()));
}

PreparedOp prepare(Device&, const OpDesc& op) { return prepared(op, run); }

}  // namespace

const OpImpl swiglu_impl{supports, prepare};

}  // namespace strata::STRATA_SIMT
