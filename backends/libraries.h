#pragma once

#include <string>
#include <vector>

#include "runtime/core/device.h"

namespace strata {

/// A vendor's library that a backend opens at run time, or that goes with its devices.
struct LibraryStatus {
  BackendKind backend = BackendKind::cuda;
  std::string name;  ///< "cuBLASLt"
  bool found = false;
  std::string version;  ///< "13.1.0"; "" when it is not found or does not say
  std::string why_not;  ///< "" when found: "libnccl.so.2: cannot open shared object file: ..."
  std::string purpose;  ///< what it is used for, or that it is not
  std::string hint;     ///< how to get it
};

/// The libraries of a backend, each opened to see whether it is there. Takes some tenths of a
/// second the first time; does not throw, and asks no device.
std::vector<LibraryStatus> library_statuses(BackendKind backend);

}  // namespace strata
