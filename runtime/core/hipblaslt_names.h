#pragma once

namespace strata {

/// hipBLASLt's file, as vendor_libraries.h has those of the others: ROCm 7's, ROCm 6's.
inline constexpr const char* kHipblasltNames[] = {"libhipblaslt.so.1", "libhipblaslt.so.0",
                                                  "/opt/rocm/lib/libhipblaslt.so"};

}  // namespace strata
