#include "backends/vulkan/ops/impls.h"

namespace strata::vulkan {

STRATA_UNSUPPORTED(linear_norm)

}  // namespace strata::vulkan
