#pragma once

#include <optional>
#include <vector>

#include "backends/cpu/cpu_device.h"
#include "runtime/ops/op_impl.h"

namespace strata::bench {

/// An op prepared as a plan does it, with its workspace.
class Prepared {
 public:
  /// Empty when the device lacks a kernel for it.
  static std::optional<Prepared> make(cpu::CpuDevice& device, const OpDesc& desc);

  void run(Stream& stream, const Operands& operands) const {
    op_.run(stream, op_, operands, {workspace_.data(), op_.workspace_bytes});
  }
  const PreparedOp& op() const { return op_; }

 private:
  Prepared(cpu::CpuDevice& device, PreparedOp op);
  PreparedOp op_;
  Buffer workspace_;
};

/// `desc`'s inputs in the layouts that the op wants, activations in the dtype that goes with them.
/// Empty when the device lacks a kernel for it.
std::optional<OpDesc> in_wanted_layouts(cpu::CpuDevice& device, OpDesc desc, int weight);

/// Memory for a tensor.
struct Tensor {
  Buffer buffer;
  TensorView view;
};
Tensor make_tensor(cpu::CpuDevice& device, const TensorDesc& desc);

/// A weight of random blocks in w.layout: packed from rows where it is not rows. `copies` of it,
/// with the same blocks, in one buffer.
struct Copies {
  Buffer buffer;
  std::vector<TensorView> views;
};
Copies random_copies(cpu::CpuDevice& device, const TensorDesc& w, int copies);

}  // namespace strata::bench
