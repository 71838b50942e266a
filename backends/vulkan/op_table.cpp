#include "backends/vulkan/op_table.h"

#include "backends/vulkan/ops/impls.h"

namespace strata::vulkan {

// Not written yet: whoever lands ops/<name>.cpp takes the line out.
STRATA_UNSUPPORTED(linear)
STRATA_UNSUPPORTED(linear_experts)
STRATA_UNSUPPORTED(pack)
STRATA_UNSUPPORTED(linear_group)
STRATA_UNSUPPORTED(linear_gated)
STRATA_UNSUPPORTED(linear_experts_gated)

const OpTable& op_table() {
  static const OpTable table{{
#define STRATA_OP(Type, name, inputs, inouts, outputs) name##_impl,
#include "runtime/ops/ops.def"
#undef STRATA_OP
  }};
  return table;
}

}  // namespace strata::vulkan
