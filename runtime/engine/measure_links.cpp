#include "runtime/engine/measure_links.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "backends/registry.h"
#include "runtime/core/error.h"
#include "runtime/engine/measure_layouts.h"
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
  speeds.device_flops = flops_of(own, path_on(model, device, options));
  measure_file_layout(model, device, speeds);
  speeds.cpu_read = host.read_bytes_per_second;
  speeds.cpu_flops = flops_of(host, path_on(model, cpu, options));
  return links;
}

}  // namespace strata
