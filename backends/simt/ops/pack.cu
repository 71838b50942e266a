#include "backends/simt/common.h"
#include "runtime/core/planes.h"

namespace strata::STRATA_SIMT {
namespace {

// Matrices in file rows and in planes. A panel's planes are filled 4 bytes at a time.
struct PackJob {
  const std::byte* from;
  std::byte* to;
  std::int64_t row_bytes;  // of from; a row's share of a panel has as many without gaps
  std::int64_t panel_bytes;
  int rows;    // of a matrix
  int panels;  // of a matrix
  int blocks;  // of a row
  int block_bytes;
  int field_offset[kMaxPlanes];
  int field_bytes[kMaxPlanes];
};

// Byte `at` of panel `panel`, which is of the row's block in the file; 0 in padding.
STRATA_DEVICE unsigned planes_byte(const PackJob& job, std::int64_t panel, std::int64_t at) {
  constexpr auto kRows = static_cast<int>(kPanelRows);
  int field = 0;
  for (; field + 1 < kMaxPlanes; ++field) {
    const std::int64_t plane = std::int64_t{kRows} * job.blocks * job.field_bytes[field];
    if (at < plane) break;
    at -= plane;
  }
  const int bytes = job.field_bytes[field];
  const std::int64_t item = at / bytes;  // row * blocks + block
  const auto row = static_cast<int>(panel % job.panels * kRows + item / job.blocks);
  if (row >= job.rows) return 0;
  const std::int64_t file_row = panel / job.panels * job.rows + row;
  return static_cast<unsigned>(
      job.from[file_row * job.row_bytes + item % job.blocks * job.block_bytes +
               job.field_offset[field] + at % bytes]);
}

// Blocks (all panels, chunks of a panel).
STRATA_KERNEL STRATA_BOUNDS(kBlockThreads) void pack_planes(PackJob job) {
  const std::int64_t panel = block_x();
  for (std::int64_t word = static_cast<std::int64_t>(block_y()) * threads_x() + thread_x();
       word < job.panel_bytes / 4; word += static_cast<std::int64_t>(blocks_y()) * threads_x()) {
    unsigned value = 0;
    STRATA_UNROLL
    for (int i = 0; i < 4; ++i) value |= planes_byte(job, panel, 4 * word + i) << (8 * i);
    store4(job.to + panel * job.panel_bytes + 4 * word, value);
  }
}

void run(Stream& stream, const PreparedOp&, const Operands& operands, Workspace) {
  const TensorView& w = operands.in[0];
  if (w.shape.elements() == 0) return;
  const DTypeInfo& info = dtype_info(w.dtype);
  const std::int64_t matrices = w.shape.rank > 2 ? w.shape[0] : 1;
  PackJob job{};
  job.from = w.data;
  job.to = operands.out[0].data;
  job.row_bytes = w.row_stride;
  job.panel_bytes = kPanelRows * static_cast<std::int64_t>(row_bytes(w.dtype, w.columns()));
  job.rows = static_cast<int>(w.rows() / matrices);
  job.panels = static_cast<int>(groups(job.rows, kPanelRows));
  job.blocks = static_cast<int>(w.columns() / info.block_elements);
  job.block_bytes = static_cast<int>(info.block_bytes);
  const PlaneFields fields = plane_fields(w.dtype);
  for (std::size_t i = 0; i < fields.size(); ++i) {
    job.field_offset[i] = fields[i].offset;
    job.field_bytes[i] = fields[i].bytes;
  }
  const std::int64_t chunks = groups(job.panel_bytes, std::int64_t{kBlockThreads} * 64);
  launch(stream, pack_planes,
         {static_cast<unsigned>(matrices * job.panels), static_cast<unsigned>(chunks)},
         kBlockThreads, 0, job);
}

bool supports(const OpDesc& op, const DeviceInfo&) {
  return is_quantized(op.in[0].dtype) && op.in[0].layout == Layout::rows &&
         op.out[0].layout == Layout::planes16 && op.out[0].dtype == op.in[0].dtype;
}

PreparedOp prepare(Device&, const OpDesc& op) { return prepared(op, run, "planes of 16 rows"); }

}  // namespace

const OpImpl pack_impl{supports, prepare};

}  // namespace strata::STRATA_SIMT
