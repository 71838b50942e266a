#pragma once

#include <memory>

#include "runtime/core/device.h"

namespace strata::cpu {

// All that the registry knows of this backend.

/// Opens the CPU as a device with `threads` threads (0: all usable CPUs).
std::unique_ptr<Device> open_device(int threads);

/// Best of several short runs on all threads of a device that open_device() opened.
Ceilings measure_ceilings(Device& device);

}  // namespace strata::cpu
