#include "runtime/engine/measure_links.h"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <map>
#include <optional>
#include <utility>
#include <vector>

#include "backends/registry.h"
#include "runtime/core/error.h"
#include "runtime/engine/step_cost.h"

namespace strata {
namespace {

constexpr std::uint64_t kPiece = std::uint64_t{16} << 20;  // about what a stream moves at once

// Measuring needs memory; a device that has none left is not measured.
Ceilings ceilings_of(Device& device) {
  try {
    return measure_ceilings(device);
  } catch (const Error& error) {
    if (error.code() != ErrorCode::out_of_memory) throw;
    return {};
  }
}

double flops_of(const Ceilings& ceilings, MatmulPath path) {
  if (path == MatmulPath::int8 && ceilings.int8_ops_per_second > 0)
    return ceilings.int8_ops_per_second;
  if (path != MatmulPath::f32 && ceilings.bf16_flops_per_second > 0)
    return ceilings.bf16_flops_per_second;
  return ceilings.f32_flops_per_second;
}

// The arithmetic that most of the model's matrices take on a device.
MatmulPath path_on(const Model& model, Device& device, const ProgramOptions& options) {
  return StepCosts(model, device, options).step(1, 0, 1).path();
}

// Pieces of the large tensors: what a sweep would read.
std::vector<StreamUnit> file_units(const ModelFile& file) {
  std::vector<StreamUnit> units;
  for (const TensorInfo& tensor : file.tensors())
    for (std::uint64_t at = 0; at < tensor.bytes; at += kPiece)
      units.push_back({{{tensor.shard, tensor.offset + at, std::min(kPiece, tensor.bytes - at)}}});
  const auto small = [](const StreamUnit& unit) { return unit.bytes() < kPiece / 4; };
  if (!std::all_of(units.begin(), units.end(), small)) std::erase_if(units, small);
  return units;
}

ProbedReader probe_disk(const Model& model, std::uint64_t host_free) {
  constexpr std::size_t kPage = 4096;
  ProbeOptions options;
  // A file that memory can keep is read from there, once it has been read.
  options.cold = model.file().tensor_bytes() > host_free;
  options.reader.drop_behind = options.cold;
  const std::vector<StreamUnit> units = file_units(model.file());
  std::uint64_t slot = 0;
  for (const StreamUnit& unit : units) slot = std::max(slot, BlockReader::slot_bytes(unit));
  const auto threads = static_cast<std::size_t>(options.threads);
  std::vector<std::byte> memory(threads * slot + kPage);
  std::byte* at = memory.data();
  at += (kPage - reinterpret_cast<std::uintptr_t>(at) % kPage) % kPage;
  std::vector<std::span<std::byte>> slots;
  for (std::size_t i = 0; i < threads; ++i)
    slots.emplace_back(at + i * slot, static_cast<std::size_t>(slot));
  return probe_reader(model.shared_file(), units, slots, options);
}

// 0 where there is no memory left to measure with.
double upload_speed(Device& device) {
  constexpr std::uint64_t kMemoryPart = 8;  // of what is free
  constexpr std::uint64_t kPage = 4096;
  const std::uint64_t bytes = std::min(kPiece, device.memory().free / kMemoryPart) / kPage * kPage;
  if (bytes == 0) return 0;
  try {
    return probe_upload(device, bytes);
  } catch (const Error& error) {
    if (error.code() != ErrorCode::out_of_memory) throw;
    return 0;
  }
}

// The type that most of the model's bytes have, if kernels want it in another layout.
std::optional<DType> packed_dtype(const ModelFile& file) {
  std::map<DType, std::uint64_t> bytes;
  for (const TensorInfo& tensor : file.tensors())
    if (const std::optional<DType> dtype = tensor.dtype()) bytes[*dtype] += tensor.bytes;
  const auto most =
      std::ranges::max_element(bytes, {}, [](const auto& of_dtype) { return of_dtype.second; });
  if (most == bytes.end() || !is_quantized(most->first)) return std::nullopt;
  return most->first;
}

// A matmul of one token, in the layout of x that the device wants for these weights.
OpDesc one_token(Device& device, const TensorDesc& w) {
  const TensorDesc x{DType::F32, Layout::rows, {1, w.shape.columns()}};
  OpDesc desc{Linear{}, {x, w, {}, {}}, {}, {{DType::F32, Layout::rows, {1, w.shape.rows()}}}};
  desc.in[0].layout = prepare_op(device, desc).wanted[0];
  desc.in[0].dtype = activation_dtype(desc.in[0].layout);
  return desc;
}

// Bytes/s of weights as the file has them, by a matmul of one token: 0 where that is no other
// layout than the kernels', or where memory is short.
double file_layout_speed(const Model& model, Device& device) {
  constexpr std::int64_t kColumns = 4096;
  constexpr int kRounds = 4;
  const std::optional<DType> dtype = packed_dtype(model.file());
  if (!device.info().unified || !dtype) return 0;
  TensorDesc w{*dtype, Layout::rows, {1, kColumns}};
  const std::uint64_t most = std::min(4 * kPiece, device.memory().free / 8);
  w.shape[0] = static_cast<std::int64_t>(most / byte_size(w));
  if (w.shape[0] == 0) return 0;
  const OpDesc desc = one_token(device, w);
  const PreparedOp op = prepare_op(device, desc);
  const Buffer weights = device.allocate(byte_size(w), MemoryKind::device);
  const Buffer x = device.allocate(byte_size(desc.in[0]), MemoryKind::device);
  const Buffer out = device.allocate(byte_size(desc.out[0]), MemoryKind::device);
  const Buffer work =
      device.allocate(std::max<std::size_t>(op.workspace_bytes, 1), MemoryKind::device);
  std::memset(weights.data(), 0x3c, weights.bytes());  // every scale is about one
  std::memset(x.data(), 0, x.bytes());
  const TensorView in[] = {dense_view(x.data(), desc.in[0]), dense_view(weights.data(), w), {}, {}};
  const TensorView made = dense_view(out.data(), desc.out[0]);
  const std::unique_ptr<Stream> stream = device.open_stream(StreamRole::compute);
  double best = 0;
  for (int round = 0; round < kRounds; ++round) {
    const auto begin = std::chrono::steady_clock::now();
    op.run(*stream, op, {in, {}, {&made, 1}}, {work.data(), op.workspace_bytes});
    stream->synchronize();
    const std::chrono::duration<double> spent = std::chrono::steady_clock::now() - begin;
    best = std::max(best, static_cast<double>(weights.bytes()) / spent.count());
  }
  return best;
}

}  // namespace

void MeasuredLinks::read_by(ReadMethod wanted) {
  for (const ProbedMethod& probed : tried) {
    if (probed.method != wanted) continue;
    method = wanted;
    speeds.disk = probed.bytes_per_second;
    speeds.read_seconds = probed.unit_seconds;
    speeds.read_cpu = probed.cpu_seconds / cpus;
  }
}

MeasuredLinks measure_links(const Model& model, Device& device, Device& cpu,
                            const ProgramOptions& options) {
  ProbedReader reader = probe_disk(model, cpu.memory().free);
  MeasuredLinks links;
  links.tried = std::move(reader.tried);
  links.cpus = std::max(cpu.info().compute_units, 1);
  links.read_by(reader.method);
  LinkSpeeds& speeds = links.speeds;
  speeds.host_copy = probe_host_copy();
  speeds.upload = upload_speed(device);
  const Ceilings host = ceilings_of(cpu);
  // A simulated device computes with the CPU's kernels.
  const bool cpu_kernels = &cpu == &device || device.info().id.backend == BackendKind::sim;
  const Ceilings own = cpu_kernels ? host : ceilings_of(device);
  speeds.device_read = own.read_bytes_per_second;
  speeds.file_layout_read = file_layout_speed(model, device);
  speeds.device_flops = flops_of(own, path_on(model, device, options));
  speeds.cpu_read = host.read_bytes_per_second;
  speeds.cpu_flops = flops_of(host, path_on(model, cpu, options));
  return links;
}

}  // namespace strata
