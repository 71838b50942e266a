#include "backends/registry.h"

#include <fmt/format.h>
#include <strata_backends.h>

#include <optional>
#include <string>

#include "backends/ceilings.h"
#include "backends/cpu/backend.h"
#include "backends/module.h"
#include "backends/sim/backend.h"
#include "runtime/core/error.h"
#if STRATA_WITH_CUDA
#include "backends/cuda/backend.h"
#endif
#if STRATA_WITH_VULKAN
#include "backends/vulkan/backend.h"
#endif

namespace strata {
namespace {

// The library of a backend that has one of its own, opened at the first call.
template <BackendKind kind>
const BackendLibrary& library_of() {
  static const BackendLibrary library =
      open_backend_library(fmt::format("libstrata_{}.so", backend_name(kind)));
  return library;
}

template <BackendKind kind>
BackendFunctions library_functions() {
  const BackendLibrary& library = library_of<kind>();
  if (library.module != nullptr) return library.module->functions;
  return {[] {
            const BackendLibrary& missing = library_of<kind>();
            return BackendStatus{kind, false, missing.why_not, missing.hint, {}};
          },
          [] { return std::vector<DeviceInfo>(); }, [](int) { return std::unique_ptr<Device>(); }};
}

// One row per GPU backend; the CPU, whose device has threads to choose, stands apart.
struct Row {
  BackendKind backend;
  bool built;
  const char* toolkit;
  const char* why_not;
  BackendFunctions (*functions)();
};
constexpr Row kRows[] = {
#if STRATA_WITH_CUDA
    {BackendKind::cuda, true, built::cuda_toolkit, "",
     [] { return BackendFunctions{&cuda::status, &cuda::list_devices, &cuda::open_device}; }},
#else
    {BackendKind::cuda, false, built::cuda_toolkit, built::cuda_why_not, nullptr},
#endif
    {BackendKind::hip, STRATA_WITH_HIP, built::hip_toolkit, built::hip_why_not,
     &library_functions<BackendKind::hip>},
#if STRATA_WITH_VULKAN
    {BackendKind::vulkan, true, built::vulkan_toolkit, "",
     [] { return BackendFunctions{&vulkan::status, &vulkan::list_devices, &vulkan::open_device}; }},
#else
    {BackendKind::vulkan, false, built::vulkan_toolkit, built::vulkan_why_not, nullptr},
#endif
};

const Row* row_of(BackendKind backend) {
  for (const Row& row : kRows)
    if (row.backend == backend) return &row;
  return nullptr;
}

std::string there_are(const DeviceOptions& options) {
  std::string names;
  for (const DeviceInfo& info : list_devices(options))
    names += (names.empty() ? "there are: " : ", ") + to_string(info.id);
  return names;
}

BackendStatus status_of(const Row& row) {
  if (row.built) return row.functions().status();
  return {row.backend,
          false,
          fmt::format("not in this build: {}", row.why_not),
          "strata was configured so; docs/building.md says what the build needs",
          {}};
}

// Why a device of a known kind cannot be opened.
std::string why_missing(const DeviceId& id) {
  const Row* const row = row_of(id.backend);
  if (row == nullptr) return fmt::format("there is only one {} device", backend_name(id.backend));
  const BackendStatus status = status_of(*row);
  if (!status.usable)
    return fmt::format("the {} backend cannot be used: {}", backend_name(id.backend),
                       status.reason);
  const std::size_t count = row->functions().list_devices().size();
  return fmt::format("there {} {} {} device{}", count == 1 ? "is" : "are", count,
                     backend_name(id.backend), count == 1 ? "" : "s");
}

}  // namespace

std::vector<BackendBuild> backend_builds() {
  std::vector<BackendBuild> builds;
  for (const Row& row : kRows)
    builds.push_back({row.backend, row.built, row.toolkit, row.built ? "" : row.why_not});
  builds.push_back({BackendKind::cpu, true, built::cpu_toolkit, ""});
  return builds;
}

std::vector<BackendStatus> backend_statuses() {
  std::vector<BackendStatus> statuses;
  for (const Row& row : kRows) statuses.push_back(status_of(row));
  statuses.push_back({BackendKind::cpu, true, {}, {}, {}});
  return statuses;
}

std::vector<DeviceInfo> list_devices(const DeviceOptions& options) {
  std::vector<DeviceInfo> devices;
  for (const Row& row : kRows)
    if (row.built)
      for (const DeviceInfo& info : row.functions().list_devices()) devices.push_back(info);
  devices.push_back(cpu::open_device(options.cpu_threads, options.cpu_batch_threads)->info());
  return devices;
}

std::vector<std::string> refused_devices() {
#if STRATA_WITH_VULKAN
  return vulkan::refused_devices();
#else
  return {};
#endif
}

std::unique_ptr<Device> open_device(std::string_view name, const DeviceOptions& options) {
  const std::optional<DeviceId> named = device_id_of(name);
  if (!named)
    throw Error(ErrorCode::usage, "device", fmt::format("\"{}\" is not the name of a device", name),
                there_are(options));
  const DeviceId id = *named;
  if (id == DeviceId{BackendKind::cpu, 0})
    return cpu::open_device(options.cpu_threads, options.cpu_batch_threads);
  if (id == DeviceId{BackendKind::sim, 0})
    return sim::wrap(cpu::open_device(options.cpu_threads, options.cpu_batch_threads),
                     options.memory_bytes);
  const Row* const row = row_of(id.backend);
  if (row != nullptr && row->built)
    for (const DeviceInfo& info : row->functions().list_devices())
      if (info.id == id) return row->functions().open_device(id.index);
  throw Error(ErrorCode::device_missing, to_string(id), why_missing(id), there_are(options));
}

Telemetry device_telemetry([[maybe_unused]] const DeviceId& id) {
#if STRATA_WITH_CUDA
  if (id.backend == BackendKind::cuda) return Nvml().telemetry(cuda::pci_bus_id(id.index));
#endif
  return {};
}

ProductPaths product_paths([[maybe_unused]] const DeviceId& id) {
#if STRATA_WITH_VULKAN
  if (id.backend == BackendKind::vulkan) return vulkan::product_paths(id.index);
#endif
  return {};
}

Ceilings measure_ceilings(Device& device) {
  switch (device.info().id.backend) {
    case BackendKind::cpu:
      return cpu::measure_ceilings(device);
#if STRATA_WITH_VULKAN
    case BackendKind::vulkan:
      return vulkan::measure_ceilings(device);
#endif
    default:
      return measure_gpu_ceilings(device);
  }
}

}  // namespace strata
