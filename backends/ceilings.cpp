#include "backends/ceilings.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <cstring>
#include <functional>
#include <random>
#include <vector>

#include "runtime/ops/op_impl.h"

namespace strata {
namespace {

constexpr std::size_t kCopyBytes = std::size_t{512} << 20;
constexpr std::uint64_t kMemoryPart = 8;  // of what is free
constexpr std::int64_t kLeastSize = 256, kMostSize = 8192;
constexpr double kEnoughSeconds = 0.02;
constexpr int kRuns = 5;

// Seconds of one `enqueue`, the best of some runs; each run repeats it until it takes long enough.
double best_seconds(Stream& stream, const std::function<void()>& enqueue) {
  using Clock = std::chrono::steady_clock;
  int repeats = 1;
  double best = 0;
  for (int run = 0; run < kRuns;) {
    const auto begin = Clock::now();
    for (int i = 0; i < repeats; ++i) enqueue();
    stream.flush();
    stream.synchronize();
    const double seconds = std::chrono::duration<double>(Clock::now() - begin).count();
    if (seconds < kEnoughSeconds / 2 && repeats < 1024) {
      repeats *= 2;
      continue;
    }
    best = best == 0 ? seconds / repeats : std::min(best, seconds / repeats);
    if (seconds > 10 * kEnoughSeconds) break;  // slow devices are not kept busy for long
    ++run;
  }
  return best;
}

// Small numbers of either sign, as bf16 and in pairs as f32: what is multiplied decides how much
// power a GPU takes, and zeros take least.
void fill_with_numbers(Device& device, Stream& stream, const Buffer& buffer) {
  std::vector<std::uint16_t> numbers(std::size_t{1} << 19);
  std::mt19937 random(1);
  for (std::uint16_t& number : numbers)
    number = static_cast<std::uint16_t>(0x3c00U | (random() & 0x83ffU));
  const std::size_t bytes = numbers.size() * sizeof(numbers[0]);
  const Buffer staging = device.allocate(bytes, MemoryKind::pinned);
  std::memcpy(staging.data(), numbers.data(), bytes);
  for (std::size_t at = 0; at < buffer.bytes(); at += bytes) {
    const std::size_t part = std::min(bytes, buffer.bytes() - at);
    stream.copy({buffer.data() + at, part, buffer.kind()}, {staging.data(), part, staging.kind()});
  }
  stream.synchronize();
}

double copy_rate(Device& device, Stream& stream) {
  const std::size_t bytes =
      std::min<std::size_t>(kCopyBytes, device.memory().free / kMemoryPart) / 4096 * 4096;
  if (bytes == 0) return 0;
  const Buffer from = device.allocate(bytes, MemoryKind::device);
  const Buffer to = device.allocate(bytes, MemoryKind::device);
  fill_with_numbers(device, stream, from);
  const auto copy = [&] {
    stream.copy({to.data(), bytes, to.kind()}, {from.data(), bytes, from.kind()});
  };
  copy();  // the memory of devices that are the host's comes page by page when it is first written
  stream.synchronize();
  const double seconds = best_seconds(stream, copy);
  return 2 * static_cast<double>(bytes) / seconds;
}

OpDesc square_linear(DType weight, Layout activation, std::int64_t size) {
  const TensorDesc x{activation_dtype(activation), activation, {size, size}};
  const TensorDesc absent{DType::F32, Layout::rows, {}};
  OpDesc desc{Linear{}, {}, {}, {}};
  desc.in = {x, {weight, Layout::rows, {size, size}}, absent, absent};
  desc.out = {{DType::F32, Layout::rows, {size, size}}};
  return desc;
}

// Seconds of one product of two square matrices; 0 when the device cannot do it from rows.
double linear_seconds(Device& device, Stream& stream, DType weight, std::int64_t size) {
  const OpImpl& impl = device.ops()[OpKind::Linear];
  OpDesc desc = square_linear(weight, Layout::rows, size);
  if (impl.supports == nullptr || !impl.supports(desc, device.info())) return 0;
  PreparedOp op = impl.prepare(device, desc);
  if (op.wanted[1] != Layout::rows) return 0;
  if (op.wanted[0] != Layout::rows) {
    desc = square_linear(weight, op.wanted[0], size);
    op = impl.prepare(device, desc);
  }
  std::array<Buffer, 3> memory;
  std::array<TensorView, 5> views{};
  for (std::size_t i = 0; i < memory.size(); ++i) {
    const TensorDesc& tensor = i < 2 ? desc.in[i] : desc.out[0];
    TensorView view = dense_view(nullptr, tensor);
    memory[i] = device.allocate(static_cast<std::size_t>(view.row_stride * view.rows()),
                                MemoryKind::device);
    view.data = memory[i].data();
    views[i < 2 ? i : 4] = view;
    if (i < 2) fill_with_numbers(device, stream, memory[i]);
  }
  const Buffer workspace =
      device.allocate(std::max<std::size_t>(op.workspace_bytes, 64), MemoryKind::device);
  const Operands operands{{views.data(), 4}, {}, {views.data() + 4, 1}};
  return best_seconds(
      stream, [&] { op.run(stream, op, operands, {workspace.data(), op.workspace_bytes}); });
}

double linear_rate(Device& device, Stream& stream, DType weight) {
  double best = 0;
  for (std::int64_t size = kLeastSize; size <= kMostSize; size *= 2) {
    const auto elements = static_cast<std::uint64_t>(size * size);
    if (elements * 12 > device.memory().free / kMemoryPart) break;
    const double seconds = linear_seconds(device, stream, weight, size);
    if (seconds == 0) break;
    const auto side = static_cast<double>(size);
    best = std::max(best, 2 * side * side * side / seconds);
    if (seconds > kEnoughSeconds) break;  // eight times as long would be the next
  }
  return best;
}

}  // namespace

Ceilings measure_gpu_ceilings(Device& device) {
  const std::unique_ptr<Stream> stream = device.open_stream(StreamRole::compute);
  Ceilings ceilings;
  ceilings.read_bytes_per_second = copy_rate(device, *stream);
  ceilings.bf16_flops_per_second = linear_rate(device, *stream, DType::BF16);
  ceilings.f32_flops_per_second = linear_rate(device, *stream, DType::F32);
  return ceilings;
}

}  // namespace strata
