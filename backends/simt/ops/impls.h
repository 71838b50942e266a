#pragma once

#include "platform.h"
#include "runtime/ops/op_impl.h"

namespace strata::STRATA_SIMT {

// This backend's implementation of every op, each defined in the file named after it.
#define STRATA_OP(Type, name, inputs, inouts, outputs) extern const OpImpl name##_impl;
#include "runtime/ops/ops.def"
#undef STRATA_OP

/// The op table, from ops.def: forgetting an op fails at link time.
const OpTable& op_table();

}  // namespace strata::STRATA_SIMT
