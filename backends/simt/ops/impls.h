#pragma once

#include "runtime/ops/op_impl.h"
#include "runtime_api.h"

namespace strata::STRATA_SIMT {

/// The same with a constructor that is not constexpr: of a constant, clang would make a copy for
/// the GPU, where the host's functions are missing.
struct OpImpl : strata::OpImpl {
  OpImpl(decltype(strata::OpImpl::supports) can, decltype(strata::OpImpl::prepare) make) {
    supports = can;
    prepare = make;
  }
};

// This backend's implementation of every op, each defined in the file named after it.
#define STRATA_OP(Type, name, inputs, inouts, outputs) extern const OpImpl name##_impl;
#include "runtime/ops/ops.def"
#undef STRATA_OP

/// The op table, from ops.def: forgetting an op fails at link time.
const OpTable& op_table();

}  // namespace strata::STRATA_SIMT
