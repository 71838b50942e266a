#include "backends/simt/common.h"
#include "backends/simt/overlap.h"
#include "backends/simt/rows.h"

namespace strata::STRATA_SIMT {
namespace {

constexpr int kThreads = 128;

// Block (token, tile of 4 * kThreads columns): y (tokens * used, columns), weights (tokens, used).
STRATA_KERNEL STRATA_BOUNDS(kThreads) void combine_rows(FourRows y, Rows<const float> weights,
                                                        FourRows out, int used, int columns) {
  take_turn();
  const std::int64_t t = block_x();
  const int column = 4 * (block_y() * kThreads + thread_x());
  Four sum = {};
  for (int c = 0; c < used; ++c) {
    const float weight = weights.row(t)[c];
    const Four x = load_four(y.row(t * used + c), y.wide, column, columns);
    for (int i = 0; i < 4; ++i) sum.v[i] = fma_of(weight, x.v[i], sum.v[i]);
  }
  store_four(out.row(t), out.wide, column, columns, sum);
}

bool supports(const OpDesc& op, const DeviceInfo&) {
  return is_f32_rows(op.in[0]) && is_f32_rows(op.in[1]) && is_f32_rows(op.out[0]) &&
         std::get<MoeCombine>(op.attributes).used >= 1;
}

void run(Stream& stream, const PreparedOp& op, const Operands& operands, Workspace) {
  const TensorView& out = operands.out[0];
  if (out.shape.elements() == 0) return;
  launch_overlapped(stream, combine_rows, row_grid(out.rows(), groups(out.columns(), 4 * kThreads)),
                    kThreads, 0, four_rows(operands.in[0]), rows_of<const float>(operands.in[1]),
                    four_rows(out), std::get<MoeCombine>(op.desc.attributes).used,
                    static_cast<int>(out.columns()));
}

PreparedOp prepare(Device&, const OpDesc& op) { return prepared(op, run); }

}  // namespace

const OpImpl moe_combine_impl{supports, prepare};

}  // namespace strata::STRATA_SIMT
