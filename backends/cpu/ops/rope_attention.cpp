#include "backends/cpu/ops/impls.h"

namespace strata::cpu {

STRATA_UNSUPPORTED(rope_attention)

}  // namespace strata::cpu
