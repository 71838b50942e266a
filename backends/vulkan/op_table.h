#pragma once

#include "runtime/ops/op_impl.h"

namespace strata::vulkan {

/// This backend's op table, from ops.def: forgetting an op fails at link time.
const OpTable& op_table();

}  // namespace strata::vulkan
