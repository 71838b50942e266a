#include "backends/vulkan/ops/activation.h"

namespace strata::vulkan {
namespace {

struct Push {
  Address x;
  Address out;
  std::uint32_t rows;
  std::uint32_t columns;
  std::uint32_t x_stride;
  std::uint32_t out_stride;
  std::uint32_t row_groups;
};

bool supports(const OpDesc& op, const DeviceInfo&) {
  return is_f32_rows(op.in[0]) && op.out[0].layout != Layout::rows && is_activation(op.out[0]);
}

void run(Stream& stream, const PreparedOp& op, const Operands& operands, Workspace) {
  const TensorView& x = operands.in[0];
  const TensorView& out = operands.out[0];
  const std::uint32_t row_groups = groups(x.columns(), kColumnsEach * kElementThreads);
  const Push push{address(x),      address(out),      size32(x.rows()), size32(x.columns()),
                  stride_bytes(x), stride_bytes(out), row_groups};
  dispatch_groups(stream, op, push, x.rows() * row_groups);
}

PreparedOp prepare(Device& device, const OpDesc& op) {
  const std::uint32_t constants[] = {kElementThreads, layout_constant(op.out[0].layout)};
  return prepared(op, run, op.out[0].layout == Layout::rounded ? "bf16" : "int8 blocks of 32",
                  one_pipeline(device, "quantize", constants));
}

}  // namespace

const OpImpl quantize_impl{supports, prepare};

}  // namespace strata::vulkan
