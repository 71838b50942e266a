#pragma once

#include <cstdint>
#include <memory>

#include "runtime/core/device.h"

namespace strata::sim {

// All that the registry knows of this backend, which is never listed: a device for tests and for
// trying out plans, opened where it is asked for as "sim:0".

/// A simulated device with so much memory, and not a byte more; 0: as much as the one inside has.
/// STRATA_SIM_FAULT in the environment asks for a fault of it (ask_for_fault).
std::unique_ptr<Device> wrap(std::unique_ptr<Device> inside, std::uint64_t memory_bytes);

}  // namespace strata::sim
