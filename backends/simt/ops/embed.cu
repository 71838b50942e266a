#include "backends/simt/any_codec.h"
#include "backends/simt/common.h"
#include "backends/simt/overlap.h"
#include "backends/simt/rows.h"
#include "backends/simt/step.h"

namespace strata::STRATA_SIMT {
namespace {

constexpr int kThreads = 64;
constexpr int kUnit = 32;  // columns that a thread writes of a quantized row

struct Table {
  const std::byte* data;  // (vocabulary, columns) in Layout::rows
  std::int64_t stride;    // bytes
  DType dtype;
};

STRATA_DEVICE float plain_element(const Table& table, const std::byte* row, int column) {
  if (table.dtype == DType::F32) return reinterpret_cast<const float*>(row)[column];
  const std::uint16_t small = reinterpret_cast<const std::uint16_t*>(row)[column];
  return table.dtype == DType::F16 ? half_to_float(small) : bf16_to_float(small);
}

// Block (token, tile of kUnit * kThreads columns); out (tokens, columns).
STRATA_KERNEL STRATA_BOUNDS(kThreads) void embed_plain(Table table, const std::byte* step_block,
                                                       Rows<float> out, int columns) {
  take_turn();
  const Step step(step_block);
  const int t = block_x();
  const bool real = t < step.token_count();
  const std::byte* row = table.data + (real ? step.token(t) : 0) * table.stride;
  const int first = block_y() * kUnit * kThreads;
  const int end = min_of(first + kUnit * kThreads, columns);
  for (int column = first + thread_x(); column < end; column += kThreads)
    out.row(t)[column] = real ? plain_element(table, row, column) : 0.0F;
}

// The same; a thread decodes a unit, which lies in two places of the row.
STRATA_KERNEL STRATA_BOUNDS(kThreads) void embed_quantized(Table table, const std::byte* step_block,
                                                           FourRows out, int columns) {
  take_turn();
  const Step step(step_block);
  const int t = block_x();
  const int unit = block_y() * kThreads + thread_x();
  if (kUnit * unit >= columns) return;
  FloatUnit decoded = {};
  decoded.column[0] = kUnit * unit;
  decoded.column[1] = kUnit * unit + kUnit / 2;
  if (t < step.token_count())
    decode_file_unit(table.dtype, table.data + step.token(t) * table.stride, unit, decoded);
  STRATA_UNROLL
  for (int i = 0; i < kUnit; i += 4) {
    const Four four = {
        {decoded.values[i], decoded.values[i + 1], decoded.values[i + 2], decoded.values[i + 3]}};
    const int column = decoded.column[i / (kUnit / 2)] + i % (kUnit / 2);
    store_four(out.row(t), out.wide, column, columns, four);
  }
}

bool supports(const OpDesc& op, const DeviceInfo&) {
  return op.in[0].dtype != DType::I8 && op.in[0].dtype != DType::I32 &&
         op.in[0].layout == Layout::rows && is_f32_rows(op.out[0]);
}

void run(Stream& stream, const PreparedOp&, const Operands& operands, Workspace) {
  const TensorView& view = operands.in[0];
  const TensorView& out = operands.out[0];
  if (out.shape.elements() == 0) return;
  const Table table{view.data, view.row_stride, view.dtype};
  const Grid blocks = row_grid(out.rows(), groups(out.columns(), kUnit * kThreads));
  const auto columns = static_cast<int>(out.columns());
  if (is_quantized(view.dtype))
    launch_overlapped(stream, embed_quantized, blocks, kThreads, 0, table, operands.in[1].data,
                      four_rows(out), columns);
  else
    launch_overlapped(stream, embed_plain, blocks, kThreads, 0, table, operands.in[1].data,
                      rows_of<float>(out), columns);
}

PreparedOp prepare(Device&, const OpDesc& op) { return prepared(op, run, "decode rows"); }

}  // namespace

const OpImpl embed_impl{supports, prepare};

}  // namespace strata::STRATA_SIMT
