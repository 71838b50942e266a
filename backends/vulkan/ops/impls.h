#pragma once

#include "runtime/ops/op_impl.h"

namespace strata::vulkan {

// This backend's implementation of every op, each defined in the file named after it.
#define STRATA_OP(Type, name, inputs, inouts, outputs) extern const OpImpl name##_impl;
#include "runtime/ops/ops.def"
#undef STRATA_OP

}  // namespace strata::vulkan
