#pragma once

#include <memory>

#include "runtime/core/device.h"

namespace strata::cpu {

/// Opens the CPU as a device with `threads` threads (0: all usable CPUs). All that the registry
/// knows of this backend.
std::unique_ptr<Device> open_device(int threads);

}  // namespace strata::cpu
