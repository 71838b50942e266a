#pragma once

#include <string>

#include "runtime/core/backend_status.h"

namespace strata {

/// A backend in a library of its own, libstrata_hip.so: it needs libraries that most machines lack.
struct BackendLibrary {
  const BackendModule* module = nullptr;  ///< null: it cannot be used
  std::string why_not;
  std::string hint;
};

/// Opens the library called `file`, which lies beside the program or, installed, in the folder for
/// libraries. Does not throw. The library stays open.
BackendLibrary open_backend_library(const std::string& file);

}  // namespace strata
