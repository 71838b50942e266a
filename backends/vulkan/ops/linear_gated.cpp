#include "backends/vulkan/ops/matmul_tiles.h"

namespace strata::vulkan {
namespace {

// A work group has rows of both matrices, and makes the result of their sums at once.
void run(Stream& stream, const PreparedOp& op, const Operands& operands, Workspace workspace) {
  const auto& kernel = state_of<MatmulKernel>(op);
  const TensorView& x = operands.in[0];
  const TensorView& gate = operands.in[1];
  const TensorView& out = operands.out[0];
  MatmulPush push;
  push.w = {address(gate), address(operands.in[2]), {}};
  push.out[0] = address(out);
  push.k = size32(gate.columns());
  push.w_stride = stride_bytes(gate);
  push.rows = size32(out.rows());
  push.n[0] = size32(gate.rows());
  push.out_stride[0] = stride_bytes(out);
  set_x(push, half_rows(stream, kernel, {address(x), stride_bytes(x)}, push.rows, push.k,
                        address(workspace)));
  run_matmul(stream, kernel, push);
}

bool supports(const OpDesc& op, const DeviceInfo&) {
  return matmul_supports(op.in[0], op.in[1], op.out[0]) && op.in[1] == op.in[2];
}

PreparedOp prepare(Device& device, const OpDesc& op) {
  VulkanDevice& vulkan = vulkan_device(device);
  const TensorDesc& x = op.in[0];
  const TensorDesc& w = op.in[1];
  const std::int64_t tokens = x.shape.rows();
  MatmulShape shape{w.dtype, w.layout, x.layout, w.shape.columns(), tokens};
  shape.gated = true;
  shape.n = w.shape.rows();
  auto kernel = std::make_shared<MatmulKernel>(choose_matmul(vulkan, shape));
  const std::string_view name = kernel->name;
  const std::size_t bytes = half_rows_bytes(*kernel, tokens, shape.k);
  PreparedOp gated = prepared(op, run, name, std::move(kernel), bytes);
  gated.wanted[0] = wanted_x(vulkan.limits(), w.dtype, tokens);
  gated.wanted[1] = gated.wanted[2] = wanted_w(w.dtype);
  return gated;
}

}  // namespace

const OpImpl linear_gated_impl{supports, prepare};

}  // namespace strata::vulkan
