#include "backends/vulkan/ops/matmul.h"

namespace strata::vulkan {
namespace {

void run(Stream& stream, const PreparedOp& op, const Operands& operands, Workspace) {
  const TensorView& x = operands.in[0];
  const TensorView& w = operands.in[1];
  const TensorView& residual = operands.in[3];
  const TensorView& out = operands.out[0];
  MatmulPush push;
  push.x = address(x);
  push.w[0] = address(w);
  push.out[0] = address(out);
  push.bias = {address(operands.in[2]), address(residual), {}};
  push.k = size32(w.columns());
  push.x_stride = stride_bytes(x);
  push.w_stride = stride_bytes(w);
  push.rows = size32(out.rows());
  push.n[0] = size32(w.rows());
  push.out_stride = {stride_bytes(out), stride_bytes(residual), 0};
  run_matmul(stream, state_of<MatmulKernel>(op), push);
}

bool supports(const OpDesc& op, const DeviceInfo&) {
  for (const TensorDesc& added : {op.in[2], op.in[3]})
    if (added.shape.rank > 0 && !is_f32_rows(added)) return false;
  return matmul_supports(op.in[0], op.in[1], op.out[0]);
}

PreparedOp prepare(Device& device, const OpDesc& op) {
  VulkanDevice& vulkan = vulkan_device(device);
  const TensorDesc& x = op.in[0];
  const TensorDesc& w = op.in[1];
  const std::int64_t tokens = x.shape.rows();
  auto kernel = std::make_shared<MatmulKernel>(
      choose_matmul(vulkan, {w.dtype, w.layout, x.layout, w.shape.columns(), tokens}));
  const std::string_view name = kernel->name;
  PreparedOp linear = prepared(op, run, name, std::move(kernel));
  linear.wanted[0] = wanted_x(vulkan.limits(), w.dtype, tokens);
  linear.wanted[1] = wanted_w(w.dtype);
  return linear;
}

}  // namespace

const OpImpl linear_impl{supports, prepare};

}  // namespace strata::vulkan
