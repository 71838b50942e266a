#pragma once

#include <string>

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

}  // namespace strata
