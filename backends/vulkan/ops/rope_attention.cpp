#include "backends/vulkan/ops/impls.h"

namespace strata::vulkan {

STRATA_UNSUPPORTED(rope_attention)

}  // namespace strata::vulkan
