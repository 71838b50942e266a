#include "backends/simt/ops/impls.h"

namespace strata::STRATA_SIMT {

const OpTable& op_table() {
  static const OpTable table{{
#define STRATA_OP(Type, name, inputs, inouts, outputs) name##_impl,
#include "runtime/ops/ops.def"
#undef STRATA_OP
  }};
  return table;
}

}  // namespace strata::STRATA_SIMT
