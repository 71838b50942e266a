#include "backends/simt/norm_row.h"
#include "backends/simt/overlap.h"

namespace strata::STRATA_SIMT {
namespace {

constexpr int kHeadThreads = 128;

// A block per row, all of which is one group.
template <Layout layout>
STRATA_KERNEL STRATA_BOUNDS(kNormThreads) void norm_rows(NormRows norm) {
  take_turn();
  norm_row(norm, layout, block_x(), dynamic_shared<float>());
}

// A warp per group of n columns.
STRATA_KERNEL STRATA_BOUNDS(kHeadThreads) void norm_heads(Rows<const float> x, const float* w,
                                                          Rows<float> out, std::int64_t rows,
                                                          int heads, int n, float eps) {
  take_turn();
  const std::int64_t item = std::int64_t{block_x()} * (threads_x() / lane_count()) + warp();
  if (item >= rows * heads) return;
  const std::int64_t row = item / heads;
  const std::int64_t first = item % heads * n;
  const float* from = x.row(row) + first;
  float* to = out.row(row) + first;
  const float scale = head_norm_scale(from, n, eps);
  for (int i = lane(); i < n; i += lane_count()) to[i] = from[i] * scale * w[i];
}

// Groups that are written in another format are whole rows: QK-norm feeds rope, which reads f32.
bool supports(const OpDesc& op, const DeviceInfo&) {
  const std::int64_t n = op.in[1].shape.elements();
  const std::int64_t columns = op.in[0].shape.columns();
  return is_f32_rows(op.in[0]) && is_f32_rows(op.in[1]) && is_activation(op.out[0]) && n > 0 &&
         columns % n == 0 && (n == columns || op.out[0].layout == Layout::rows);
}

// As many as have columns, in whole warps of either lane count.
unsigned row_threads(int columns) {
  const std::int64_t wanted = groups(groups(columns, 4), kMaxLanes) * kMaxLanes;
  return static_cast<unsigned>(wanted < kNormThreads ? wanted : kNormThreads);
}

void run(Stream& stream, const PreparedOp& op, const Operands& operands, Workspace) {
  const TensorView& x = operands.in[0];
  const TensorView& w = operands.in[1];
  const TensorView& out = operands.out[0];
  if (out.shape.elements() == 0) return;
  const float eps = std::get<RmsNorm>(op.desc.attributes).eps;
  const auto columns = static_cast<int>(x.columns());
  const auto n = static_cast<int>(w.shape.elements());
  if (out.layout == Layout::rows && (n < columns || n <= kLargestHead)) {
    const std::int64_t heads = columns / n;
    // A warp of the smallest lane count more than needed does nothing.
    launch_overlapped(stream, norm_heads,
                      row_grid(groups(x.rows() * heads, kHeadThreads / kMaxLanes)), kHeadThreads, 0,
                      rows_of<const float>(x), w.as<const float>(), rows_of<float>(out), x.rows(),
                      static_cast<int>(heads), n, eps);
    return;
  }
  launch_norm_rows(stream, norm_rows_of(x, w, out, eps), x.rows());
}

PreparedOp prepare(Device&, const OpDesc& op) { return prepared(op, run); }

}  // namespace

void launch_norm_rows(Stream& stream, const NormRows& norm, std::int64_t rows) {
  const auto kernel = norm.layout == Layout::quantized ? norm_rows<Layout::quantized>
                      : norm.layout == Layout::rounded ? norm_rows<Layout::rounded>
                                                       : norm_rows<Layout::rows>;
  launch_overlapped(stream, kernel, row_grid(rows), row_threads(norm.columns),
                    kNormWarps * sizeof(float), norm);
}

const OpImpl rms_norm_impl{supports, prepare};

}  // namespace strata::STRATA_SIMT
