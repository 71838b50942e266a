#include "backends/cpu/ops/impls.h"

namespace strata::cpu {

STRATA_UNSUPPORTED(linear_norm)

}  // namespace strata::cpu
