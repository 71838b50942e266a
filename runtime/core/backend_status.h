#pragma once

#include <memory>
#include <string>
#include <vector>

#include "runtime/core/device.h"

namespace strata {

/// One backend of this build: whether it can be used here, and if not, why. Asking never fails and
/// opens no device for good.
struct BackendStatus {
  BackendKind backend = BackendKind::cpu;
  bool usable = false;
  std::string reason;    ///< "" when usable; else "no driver: libcuda.so.1 not found", ...
  std::string hint;      ///< what to do about the reason; may be empty
  std::string versions;  ///< of runtime and driver, as far as known: "CUDA 13.0, driver 580.65"
};

/// A backend as the registry calls it; what a backend in a library of its own hands out.
struct BackendFunctions {
  BackendStatus (*status)();
  std::vector<DeviceInfo> (*list_devices)();          ///< does not throw: no driver, no devices
  std::unique_ptr<Device> (*open_device)(int index);  ///< throws Error{device_missing}
};

/// What a library with a backend exports, as `extern "C" const BackendModule* strata_backend()`.
struct BackendModule {
  const char* seam;  ///< digest of the headers that it was compiled with; the program's is the same
  BackendFunctions functions;
};

}  // namespace strata
