#pragma once

namespace strata {

/// What each way that weights take can carry, and what computes with them. 0: not measured.
struct LinkSpeeds {
  double disk = 0;         ///< bytes/s out of the model file with the chosen reader, as it is now
  double host_copy = 0;    ///< bytes/s of a copy within host memory
  double upload = 0;       ///< bytes/s from pinned host memory to the device
  double device_read = 0;  ///< bytes/s at which the device's kernels read weights that it holds
  double cpu_read = 0;     ///< bytes/s at which the CPU's kernels read weights in host memory
  double device_flops = 0;
  double cpu_flops = 0;
};

}  // namespace strata
