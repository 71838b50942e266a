#include "backends/cpu/ops/impls.h"

namespace strata::cpu {

// Fused ops that this backend computes as the primitives that they stand for.
STRATA_UNSUPPORTED(linear_gated)
STRATA_UNSUPPORTED(linear_experts_gated)

}  // namespace strata::cpu
