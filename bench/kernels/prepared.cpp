#include "bench/kernels/prepared.h"

#include <algorithm>
#include <cstring>

#include "bench/kernels/random_weights.h"

namespace strata::bench {
namespace {

constexpr std::size_t kAlign = 4096;
constexpr std::size_t kLeastWorkspace = 64;

std::size_t aligned(std::size_t bytes) { return (bytes + kAlign - 1) / kAlign * kAlign; }

}  // namespace

std::optional<Prepared> Prepared::make(cpu::CpuDevice& device, const OpDesc& desc) {
  const OpImpl& impl = device.ops()[desc.kind()];
  if (impl.supports == nullptr || !impl.supports(desc, device.info())) return std::nullopt;
  return Prepared(device, impl.prepare(device, desc));
}

Prepared::Prepared(cpu::CpuDevice& device, PreparedOp op)
    : op_(std::move(op)),
      workspace_(
          device.allocate(std::max(op_.workspace_bytes, kLeastWorkspace), MemoryKind::device)) {}

std::optional<OpDesc> in_wanted_layouts(cpu::CpuDevice& device, OpDesc desc, int weight) {
  const OpImpl& impl = device.ops()[desc.kind()];
  if (impl.supports == nullptr || !impl.supports(desc, device.info())) return std::nullopt;
  const PreparedOp wishes = impl.prepare(device, desc);
  const auto at = static_cast<std::size_t>(weight);
  desc.in[0].layout = wishes.wanted[0];
  desc.in[0].dtype = activation_dtype(wishes.wanted[0]);
  desc.in[at].layout = wishes.wanted[at];
  if (!impl.supports(desc, device.info())) return std::nullopt;
  return desc;
}

Tensor make_tensor(cpu::CpuDevice& device, const TensorDesc& desc) {
  Tensor tensor;
  tensor.buffer = device.allocate(aligned(byte_size(desc)), MemoryKind::device);
  std::memset(tensor.buffer.data(), 0, tensor.buffer.bytes());
  tensor.view = dense_view(tensor.buffer.data(), desc);
  return tensor;
}

Copies random_copies(cpu::CpuDevice& device, const TensorDesc& w, int copies) {
  const TensorDesc rows{w.dtype, Layout::rows, w.shape};
  const Tensor source = make_tensor(device, rows);
  const auto row_size = static_cast<std::size_t>(source.view.row_stride);
  device.pool().run([&](int thread, int threads) {
    const Share share = share_of(w.shape.rows(), 1, thread, threads);
    if (share.begin < share.end)
      fill_random(w.dtype,
                  {source.view.row(share.begin),
                   static_cast<std::size_t>(share.end - share.begin) * row_size},
                  static_cast<std::uint64_t>(share.begin) + 1);
  });
  const std::size_t bytes = aligned(byte_size(w));
  Copies made{device.allocate(bytes * static_cast<std::size_t>(copies), MemoryKind::device), {}};
  const auto stream = device.open_stream(StreamRole::compute);
  OpDesc pack;
  pack.attributes = Pack{};
  pack.in = {rows};
  pack.out = {w};
  const std::optional<Prepared> packing = Prepared::make(device, pack);
  for (int i = 0; i < copies; ++i) {
    const TensorView view = dense_view(made.buffer.data() + bytes * static_cast<std::size_t>(i), w);
    if (w.layout == Layout::rows)
      stream->copy({view.data, byte_size(w), MemoryKind::device},
                   {source.view.data, byte_size(w), MemoryKind::device});
    else if (packing)
      packing->run(*stream, {{&source.view, 1}, {}, {&view, 1}});
    made.views.push_back(view);
  }
  return made;
}

}  // namespace strata::bench
