#include "backends/simt/cache.h"
#include "backends/simt/common.h"
#include "backends/simt/norm.h"
#include "backends/simt/overlap.h"
#include "backends/simt/rows.h"

namespace strata::STRATA_SIMT {
namespace {

constexpr int kRowThreads = 512;
constexpr int kHeadThreads = 128;

STRATA_DEVICE float row_norm_scale(const FourRows& x, int columns, float eps) {
  const float* row = x.row(block_x());
  float sum = 0.0F;
  for (int column = 4 * thread_x(); column < columns; column += 4 * threads_x()) {
    const Four a = load_four(row, x.wide, column, columns);
    for (int i = 0; i < 4; ++i) sum = fma_of(a.v[i], a.v[i], sum);
  }
  return norm_scale(block_sum(sum, dynamic_shared<float>()), columns, eps);
}

// A block per row of `columns`, all of which are one group; rows as short as heads are summed like
// them. The second pass finds the row in the first-level cache.
template <Layout layout>
STRATA_KERNEL STRATA_BOUNDS(kRowThreads) void norm_rows(FourRows x, FourRows w, FourRows out,
                                                        int columns, float eps) {
  take_turn();
  const std::int64_t row = block_x();
  const float scale = columns <= kLargestHead ? head_norm_scale(x.row(row), columns, eps)
                                              : row_norm_scale(x, columns, eps);
  const int step = 4 * threads_x();
  for (int base = 0; base < columns; base += step) {  // all threads: store_activation votes
    const int column = base + 4 * thread_x();
    Four a = load_four(x.row(row), x.wide, column, columns);
    const Four weight = load_four(w.row(0), w.wide, column, columns);
    for (int i = 0; i < 4; ++i) a.v[i] = a.v[i] * scale * weight.v[i];
    store_activation<layout>(out, row, column, columns, a);
  }
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

// Two fours per thread where the row is long enough, in whole warps of either lane count.
unsigned row_threads(std::int64_t columns) {
  const std::int64_t wanted = groups(groups(columns, 8), kMaxLanes) * kMaxLanes;
  return static_cast<unsigned>(wanted < kRowThreads ? wanted : kRowThreads);
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
  const auto kernel = out.layout == Layout::quantized ? norm_rows<Layout::quantized>
                      : out.layout == Layout::rounded ? norm_rows<Layout::rounded>
                                                      : norm_rows<Layout::rows>;
  launch_overlapped(stream, kernel, row_grid(x.rows()), row_threads(columns),
                    kRowThreads * sizeof(float), four_rows(x), four_rows(w), four_rows(out),
                    columns, eps);
}

PreparedOp prepare(Device&, const OpDesc& op) { return prepared(op, run); }

}  // namespace

const OpImpl rms_norm_impl{supports, prepare};

}  // namespace strata::STRATA_SIMT
