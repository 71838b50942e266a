#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "runtime/core/dtype.h"

namespace strata::bench {

/// What to measure, from the command line.
struct DeviceBenchOptions {
  std::string device = "cuda:0";
  std::vector<DType> dtypes;  ///< of weights
  std::vector<std::int64_t> batches;
  std::int64_t n = 4096;
  std::int64_t k = 4096;
  double seconds = 0.2;  ///< per row
  bool json = false;
  bool help = false;
};

extern const char kDeviceBenchHelp[];

/// Throws Error{usage}.
DeviceBenchOptions parse_device_options(int argc, const char* const* argv);

}  // namespace strata::bench
