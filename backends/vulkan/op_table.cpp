#include "backends/vulkan/op_table.h"

#include "backends/vulkan/ops/impls.h"

namespace strata::vulkan {

const OpTable& op_table() {
  static const OpTable table{{
#define STRATA_OP(Type, name, inputs, inouts, outputs) name##_impl,
#include "runtime/ops/ops.def"
#undef STRATA_OP
  }};
  return table;
}

}  // namespace strata::vulkan
