#pragma once

// The twin of fragments.h for the CPU; see backends/cuda/fragments.h.

#include "backends/simt/fragments_plain.h"

namespace strata::STRATA_SIMT {

inline unsigned bf16_pair(float low, float high) {
  return static_cast<unsigned>(float_to_bf16(low)) | static_cast<unsigned>(float_to_bf16(high))
                                                         << 16;
}

}  // namespace strata::STRATA_SIMT
