#include "runtime/engine/measure.h"

#include <algorithm>
#include <chrono>

#include "runtime/graph/passes.h"

namespace strata {

double measure_read_bandwidth(Device& device, std::uint64_t bytes) {
  constexpr std::int64_t kColumns = 4096;
  constexpr int kRuns = 5;
  const auto rows = static_cast<std::int64_t>(bytes / (kColumns * sizeof(float)));
  const OpDesc desc{
      Linear{},
      {{DType::F32, Layout::rows, {1, kColumns}}, {DType::F32, Layout::rows, {rows, kColumns}}, {}},
      {},
      {{DType::F32, Layout::rows, {1, rows}}}};
  const PreparedOp op = prepare_op(device, desc);
  const std::unique_ptr<Stream> stream = device.open_stream(StreamRole::compute);
  const Buffer x = device.allocate(byte_size(desc.in[0]), MemoryKind::device);
  const Buffer w = device.allocate(byte_size(desc.in[1]), MemoryKind::device);
  const Buffer y = device.allocate(byte_size(desc.out[0]), MemoryKind::device);
  const Buffer workspace =
      device.allocate(std::max<std::size_t>(op.workspace_bytes, 64), MemoryKind::device);
  // Untouched pages all map to one page of zeros: writing makes them memory.
  for (const Buffer* buffer : {&x, &w})
    stream->fill({buffer->data(), buffer->bytes(), MemoryKind::device}, std::byte{0});
  const TensorView in[] = {dense_view(x.data(), desc.in[0]), dense_view(w.data(), desc.in[1]), {}};
  const TensorView out[] = {dense_view(y.data(), desc.out[0])};
  double best = 0;
  for (int run = 0; run < kRuns; ++run) {
    const auto begin = std::chrono::steady_clock::now();
    op.run(*stream, op, {in, {}, out}, {workspace.data(), op.workspace_bytes});
    stream->synchronize();
    const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - begin;
    best = std::max(best, static_cast<double>(w.bytes()) / seconds.count());
  }
  return best;
}

}  // namespace strata
