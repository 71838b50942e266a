#include "backends/simt/common.h"
#include "backends/simt/overlap.h"
#include "backends/simt/rows.h"
#include "backends/simt/step.h"

namespace strata::STRATA_SIMT {
namespace {

constexpr int kThreads = 128;

// Block (wanted row, tile of 4 * kThreads columns) of x (tokens, columns).
STRATA_KERNEL STRATA_BOUNDS(kThreads) void copy_rows(FourRows x, const std::byte* step_block,
                                                     FourRows out, int columns) {
  take_turn();
  const Step step(step_block);
  const int row = block_x();
  const int column = 4 * (block_y() * kThreads + thread_x());
  Four value = {};
  if (row < step.row_count()) value = load_four(x.row(step.row(row)), x.wide, column, columns);
  store_four(out.row(row), out.wide, column, columns, value);
}

bool supports(const OpDesc& op, const DeviceInfo&) {
  return is_f32_rows(op.in[0]) && is_f32_rows(op.out[0]);
}

void run(Stream& stream, const PreparedOp&, const Operands& operands, Workspace) {
  const TensorView& out = operands.out[0];
  if (out.shape.elements() == 0) return;
  launch_overlapped(stream, copy_rows, row_grid(out.rows(), groups(out.columns(), 4 * kThreads)),
                    kThreads, 0, four_rows(operands.in[0]), operands.in[1].data, four_rows(out),
                    static_cast<int>(out.columns()));
}

PreparedOp prepare(Device&, const OpDesc& op) { return prepared(op, run); }

}  // namespace

const OpImpl gather_rows_impl{supports, prepare};

}  // namespace strata::STRATA_SIMT
