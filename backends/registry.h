#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "backends/libraries.h"
#include "backends/nvml.h"
#include "runtime/core/backend_status.h"
#include "runtime/core/device.h"
#include "runtime/core/product_paths.h"

namespace strata {

/// What the user chose for the devices of a process.
struct DeviceOptions {
  int cpu_threads = 0;        ///< for a step of one token; 0: one per core we may use
  int cpu_batch_threads = 0;  ///< for a step of several tokens; 0: as cpu_threads
  /// What our allocations on a GPU may take, which a simulated device enforces; 0: all that it has.
  std::uint64_t memory_bytes = 0;
};

/// A backend as this build has it; known without asking any driver.
struct BackendBuild {
  BackendKind backend;
  bool built;
  std::string toolkit;  ///< what it was compiled with: "nvcc 13.0 for 80-real, 90a-real"
  std::string why_not;  ///< "" when built: "no CUDA toolkit: nvcc not found"
};

/// Every backend, in the order of preference: GPUs first, the CPU last.
std::vector<BackendBuild> backend_builds();

/// Whether each can be used here, in the same order, and if not, why and what to do. Asks the
/// drivers, which takes some tenths of a second where there are any.
std::vector<BackendStatus> backend_statuses();

/// Every device that is there, in the order of the backends: the CPU is the last.
std::vector<DeviceInfo> list_devices(const DeviceOptions& options);

/// What is there but cannot be used: "NAME: what it lacks".
std::vector<std::string> refused_devices();

/// Opens "cpu", "cuda:0", ... Throws Error{device_missing} naming the ones that are there, or
/// Error{usage} for a name that is none.
std::unique_ptr<Device> open_device(std::string_view name, const DeviceOptions& options);

/// Clocks, power, PCIe and the like of a CUDA device now, through NVML; all is empty for other
/// devices and without NVML, of which library_statuses() says why. Opens no device.
Telemetry device_telemetry(const DeviceId& id);

/// How a Vulkan device multiplies; all empty for other devices, which do not differ in it. Opens no
/// device.
ProductPaths product_paths(const DeviceId& id);

/// What the device could at best do now, with all of its threads: takes under half a second and,
/// for that time, memory that its caches do not hold. Nothing else may use the device meanwhile.
Ceilings measure_ceilings(Device& device);

}  // namespace strata
