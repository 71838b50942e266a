#pragma once

#include <cstdint>

namespace strata {

/// Where a layer's matrices, or the output matrix, are, and who computes with them.
enum class Tier : std::uint8_t {
  device,    ///< stay in the device's memory
  host,      ///< stay in pinned host memory, and stream to the device from there
  streamed,  ///< stream to the device from the file
  cpu,       ///< the CPU computes with them
};

}  // namespace strata
