#include "backends/cpu/ops/impls.h"

namespace strata::cpu {

// Fused ops that this backend computes as the primitives that they stand for.

}  // namespace strata::cpu
