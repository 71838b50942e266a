#pragma once

#include <memory>

#include "runtime/core/device.h"

namespace strata::cpu {

// All that the registry knows of this backend.

/// Opens the CPU as a device with `threads` threads for a step of one token (0: one per core that
/// this process may use) and `batch_threads` for several (0: as many).
std::unique_ptr<Device> open_device(int threads, int batch_threads);

/// Best of several short runs on all threads of a device that open_device() opened.
Ceilings measure_ceilings(Device& device);

}  // namespace strata::cpu
