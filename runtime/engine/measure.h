#pragma once

#include <cstdint>

#include "runtime/core/device.h"

namespace strata {

/// Bytes per second at which the device reads weights: its own matrix-vector product over an F32
/// matrix of `bytes` bytes (larger than the caches), best of a few runs. Takes some 100 ms.
double measure_read_bandwidth(Device& device, std::uint64_t bytes = std::uint64_t{256} << 20);

}  // namespace strata
