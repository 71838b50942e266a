#pragma once

#include <span>

#include "runtime/ops/op_impl.h"

namespace strata::test {

/// Runs a prepared op once on operands in host memory, and waits for it: in place where the device
/// computes there, else on copies in the device's memory, which are copied back. Views that share
/// bytes share a copy, at the same offset from a 64-byte boundary. The workspace, and copies, have
/// guard bytes on both sides. Throws std::runtime_error when the op wrote to a guard.
void run_prepared(Device& device, const PreparedOp& op, std::span<const TensorView> in,
                  std::span<const TensorView> inout, std::span<const TensorView> out);

}  // namespace strata::test
