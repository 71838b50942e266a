#include "backends/vulkan/ops/activation.h"

namespace strata::vulkan {
namespace {

struct Push {
  Address gate;
  Address up;
  Address out;
  std::uint32_t rows;
  std::uint32_t columns;
  std::uint32_t gate_stride;
  std::uint32_t up_stride;
  std::uint32_t out_stride;
  std::uint32_t row_groups;
};

bool supports(const OpDesc& op, const DeviceInfo&) {
  return is_f32_rows(op.in[0]) && is_f32_rows(op.in[1]) && is_activation(op.out[0]);
}

void run(Stream& stream, const PreparedOp& op, const Operands& operands, Workspace) {
  const TensorView& gate = operands.in[0];
  const TensorView& up = operands.in[1];
  const TensorView& out = operands.out[0];
  const std::uint32_t row_groups = groups(gate.columns(), kColumnsEach * kElementThreads);
  const Push push{address(gate),
                  address(up),
                  address(out),
                  size32(gate.rows()),
                  size32(gate.columns()),
                  stride_bytes(gate),
                  stride_bytes(up),
                  stride_bytes(out),
                  row_groups};
  dispatch_groups(stream, op, push, gate.rows() * row_groups);
}

PreparedOp prepare(Device& device, const OpDesc& op) {
  const std::uint32_t constants[] = {kElementThreads, layout_constant(op.out[0].layout)};
  return prepared(op, run, "swiglu", one_pipeline(device, "swiglu", constants));
}

}  // namespace

const OpImpl swiglu_impl{supports, prepare};

}  // namespace strata::vulkan
