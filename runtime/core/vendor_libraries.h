#pragma once

#include <span>
#include <string>

#include "runtime/core/shared_library.h"

// Vendors' libraries that are opened at run time, by the names under which they may be found: the
// program starts without any of them, and is linked with none.
namespace strata {

inline constexpr const char* kCublasLtNames[] = {"libcublasLt.so.13",
                                                 "/usr/local/cuda/lib64/libcublasLt.so.13"};
inline constexpr const char* kNcclNames[] = {"libnccl.so.2"};
inline constexpr const char* kNvmlNames[] = {"libnvidia-ml.so.1"};
// ROCm numbers its releases anew in them; the functions that are used have stayed the same.
inline constexpr const char* kRocblasNames[] = {"librocblas.so.5", "librocblas.so.4",
                                                "librocblas.so.3", "librocblas.so.0",
                                                "/opt/rocm/lib/librocblas.so"};
inline constexpr const char* kHipblasNames[] = {"libhipblas.so.3", "libhipblas.so.2",
                                                "libhipblas.so.1", "libhipblas.so.0",
                                                "/opt/rocm/lib/libhipblas.so"};
inline constexpr const char* kHipblasltNames[] = {"libhipblaslt.so.1", "libhipblaslt.so.0",
                                                  "/opt/rocm/lib/libhipblaslt.so"};
inline constexpr const char* kRcclNames[] = {"librccl.so.1", "/opt/rocm/lib/librccl.so.1"};

/// The first of the names that loads; if none does, the first, which says why. At least one name.
inline SharedLibrary open_first(std::span<const char* const> names) {
  for (const char* name : names) {
    SharedLibrary library{std::string(name)};
    if (library.loaded()) return library;
  }
  return SharedLibrary(std::string(names.front()));
}

}  // namespace strata
