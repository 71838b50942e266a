#include "bench/devices/product.h"

#include <algorithm>
#include <chrono>
#include <cstring>

#include "bench/kernels/random_weights.h"

namespace strata::bench {
namespace {

using Clock = std::chrono::steady_clock;

// More than any GPU's caches hold, unless memory is short.
constexpr std::size_t kRotatedBytes = std::size_t{512} << 20;
constexpr std::size_t kMemoryPart = 4;  // of what is free
constexpr std::size_t kMostCopies = 32;
constexpr std::size_t kStagingBytes = std::size_t{16} << 20;
constexpr int kLeastSamples = 5;
constexpr double kSampleSeconds = 0.01;

double seconds_since(Clock::time_point begin) {
  return std::chrono::duration<double>(Clock::now() - begin).count();
}

}  // namespace

Product::Product(Device& device, DType dtype, std::int64_t batch, std::int64_t n, std::int64_t k)
    : device_(device), stream_(device.open_stream(StreamRole::compute)) {
  const TensorDesc absent{DType::F32, Layout::rows, {}};
  const TensorDesc floats{DType::F32, Layout::rows, {batch, k}};
  const TensorDesc rows{dtype, Layout::rows, {n, k}};
  OpDesc desc{
      Linear{}, {floats, rows, absent, absent}, {}, {{DType::F32, Layout::rows, {batch, n}}}};
  const PreparedOp wishes = prepare_op(device, desc);
  desc.in[0] = {activation_dtype(wishes.wanted[0]), wishes.wanted[0], floats.shape};
  desc.in[1].layout = wishes.wanted[1];
  op_ = prepare_op(device, desc);
  make_activations(floats, desc.in[0]);
  make_weights(rows, desc.in[1]);
  out_ = make(desc.out[0]);
  workspace_ = device.allocate(std::max<std::size_t>(op_.workspace_bytes, 64), MemoryKind::device);
  bytes_ = static_cast<double>(byte_size(desc.in[0]) + byte_size(rows) + byte_size(desc.out[0]));
  if (!stream_->can_record()) return;
  enqueue_all();  // what is compiled or loaded at the first use is there when it is recorded
  stream_->flush();
  stream_->synchronize();
  stream_->begin_recording();
  enqueue_all();
  recording_ = stream_->end_recording();
}

Product::Tensor Product::make(const TensorDesc& desc) {
  Tensor tensor;
  tensor.buffer = device_.allocate(byte_size(desc), MemoryKind::device);
  tensor.view = dense_view(tensor.buffer.data(), desc);
  return tensor;
}

Product::Tensor Product::upload(const TensorDesc& desc, const std::byte* bytes) {
  Tensor tensor = make(desc);
  const std::size_t size = tensor.buffer.bytes();
  const Buffer staging = device_.allocate(std::min(size, kStagingBytes), MemoryKind::pinned);
  for (std::size_t at = 0; at < size; at += staging.bytes()) {
    const std::size_t piece = std::min(staging.bytes(), size - at);
    std::memcpy(staging.data(), bytes + at, piece);
    stream_->copy({tensor.buffer.data() + at, piece, MemoryKind::device},
                  {staging.data(), piece, MemoryKind::pinned});
    stream_->flush();
    stream_->synchronize();
  }
  return tensor;
}

void Product::run(const OpDesc& desc, const std::vector<TensorView>& in, const TensorView& out) {
  const PreparedOp op = prepare_op(device_, desc);
  const Buffer workspace =
      device_.allocate(std::max<std::size_t>(op.workspace_bytes, 64), MemoryKind::device);
  op.run(*stream_, op, {in, {}, {&out, 1}}, {workspace.data(), op.workspace_bytes});
  stream_->flush();
  stream_->synchronize();
}

void Product::make_activations(const TensorDesc& floats, const TensorDesc& wanted) {
  std::vector<float> values(static_cast<std::size_t>(floats.shape.elements()));
  fill_uniform(values, 1);
  Tensor x = upload(floats, reinterpret_cast<const std::byte*>(values.data()));
  if (wanted.layout != Layout::rows) {
    Tensor made = make(wanted);
    run({Quantize{}, {floats}, {}, {wanted}}, {x.view}, made.view);
    x = std::move(made);
  }
  x_ = std::move(x);
}

// One weight comes from the host; its copies are made from it on the device.
void Product::make_weights(const TensorDesc& rows, const TensorDesc& wanted) {
  std::vector<std::byte> bytes(byte_size(rows));
  fill_random(rows.dtype, bytes, 2);
  const Tensor source = upload(rows, bytes.data());
  const std::size_t size = byte_size(wanted);
  const std::size_t room =
      std::min<std::size_t>(kRotatedBytes, device_.memory().free / kMemoryPart);
  const std::size_t copies = std::clamp<std::size_t>(room / size, 1, kMostCopies);
  for (std::size_t i = 0; i < copies; ++i) {
    Tensor& copy = weights_.emplace_back(make(wanted));
    if (wanted.layout == Layout::rows)
      stream_->copy({copy.buffer.data(), size, MemoryKind::device},
                    {source.buffer.data(), size, MemoryKind::device});
    else
      run({Pack{}, {rows}, {}, {wanted}}, {source.view}, copy.view);
  }
  stream_->flush();
  stream_->synchronize();
}

void Product::enqueue_all() {
  for (const Tensor& weight : weights_) {
    const TensorView in[] = {x_.view, weight.view, {}, {}};
    op_.run(*stream_, op_, {in, {}, {&out_.view, 1}}, {workspace_.data(), op_.workspace_bytes});
  }
}

double Product::measure(double seconds) {
  int repeats = 1;
  int samples = 0;
  double best = 0;
  const auto begin = Clock::now();
  while (samples < kLeastSamples || seconds_since(begin) < seconds) {
    const auto start = Clock::now();
    for (int i = 0; i < repeats; ++i) recording_ ? stream_->replay(*recording_) : enqueue_all();
    stream_->flush();
    stream_->synchronize();
    const double sample = seconds_since(start);
    if (sample < kSampleSeconds && repeats < 1024) {
      repeats *= 2;
      continue;
    }
    const double each = sample / repeats / static_cast<double>(weights_.size());
    best = samples++ == 0 ? each : std::min(best, each);
  }
  return best;
}

}  // namespace strata::bench
