#include "backends/simt/common.h"

namespace strata::STRATA_SIMT {
namespace {

// Block (row, tile of columns); a, b and out are (rows, columns).
STRATA_KERNEL STRATA_BOUNDS(kBlockThreads) void add_rows(Rows<const float> a, Rows<const float> b,
                                                         Rows<float> out, int columns) {
  const int column = block_y() * threads_x() + thread_x();
  if (column >= columns) return;
  const int row = block_x();
  out.row(row)[column] = a.row(row)[column] + b.row(row)[column];
}

bool supports(const OpDesc& op, const DeviceInfo&) {
  return is_f32_rows(op.in[0]) && is_f32_rows(op.in[1]) && is_f32_rows(op.out[0]);
}

void run(Stream& stream, const PreparedOp&, const Operands& operands, Workspace) {
  const TensorView& out = operands.out[0];
  if (out.shape.elements() == 0) return;
  launch(stream, add_rows, row_grid(out.rows(), groups(out.columns(), kBlockThreads)),
         kBlockThreads, 0, rows_of<const float>(operands.in[0]),
         rows_of<const float>(operands.in[1]), rows_of<float>(out),
         static_cast<int>(out.columns()));
}

PreparedOp prepare(Device&, const OpDesc& op) { return prepared(op, run); }

}  // namespace

const OpImpl add_impl{supports, prepare};

}  // namespace strata::STRATA_SIMT
