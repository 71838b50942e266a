#pragma once

#include <memory>
#include <string_view>
#include <vector>

#include "runtime/core/device.h"

namespace strata {

/// What the user chose for the devices of a process.
struct DeviceOptions {
  int cpu_threads = 0;        ///< for a step of one token; 0: one per core we may use
  int cpu_batch_threads = 0;  ///< for a step of several tokens; 0: as cpu_threads
};

/// One backend of this build: whether it can be used here, and if not, why.
struct BackendStatus {
  BackendKind backend;
  bool usable;
  std::string reason;  ///< "" when usable
};
std::vector<BackendStatus> backend_statuses();

/// Every device that is there, CPU last.
std::vector<DeviceInfo> list_devices(const DeviceOptions& options);

/// Opens "cpu", "cuda:0", ... Throws Error{device_missing} naming the ones that are there, or
/// Error{usage} for a name that is none.
std::unique_ptr<Device> open_device(std::string_view name, const DeviceOptions& options);

/// What the device could at best do now, with all of its threads: takes under half a second and,
/// for that time, memory that its caches do not hold. Nothing else may use the device meanwhile.
Ceilings measure_ceilings(Device& device);

}  // namespace strata
