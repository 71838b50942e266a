#pragma once

#include "runtime/ops/op_impl.h"

namespace strata::sim {

/// The ops that a device inside has, as those of the SimDevice around it.
OpTable wrapped_ops(const OpTable& inside);

}  // namespace strata::sim
