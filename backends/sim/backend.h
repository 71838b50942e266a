#pragma once

#include <memory>

#include "runtime/core/device.h"

namespace strata::sim {

// All that the registry knows of this backend, which is never listed: a device for tests and for
// trying out plans, opened where it is asked for as "sim:0".

/// A simulated device with as much memory as the one inside has.
std::unique_ptr<Device> wrap(std::unique_ptr<Device> inside);

}  // namespace strata::sim
