#include "backends/vulkan/ops/matmul_tiles.h"

namespace strata::vulkan {
namespace {

void run(Stream& stream, const PreparedOp& op, const Operands& operands, Workspace workspace) {
  const auto& kernel = state_of<MatmulKernel>(op);
  const TensorView& x = operands.in[0];
  const TensorView& w = operands.in[1];
  const TensorView& residual = operands.in[3];
  const TensorView& out = operands.out[0];
  MatmulPush push;
  push.w[0] = address(w);
  push.out[0] = address(out);
  push.bias = {address(operands.in[2]), address(residual), {}};
  push.k = size32(w.columns());
  push.w_stride = stride_bytes(w);
  push.rows = size32(out.rows());
  push.n[0] = size32(w.rows());
  push.out_stride = {stride_bytes(out), stride_bytes(residual), 0};
  set_x(push, half_rows(stream, kernel, {address(x), stride_bytes(x)}, push.rows, push.k,
                        address(workspace)));
  run_matmul(stream, kernel, push);
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
  MatmulShape shape{w.dtype, w.layout, x.layout, w.shape.columns(), tokens};
  shape.n = w.shape.rows();
  auto kernel = std::make_shared<MatmulKernel>(choose_matmul(vulkan, shape));
  const std::string_view name = kernel->name;
  const std::size_t bytes = half_rows_bytes(*kernel, tokens, shape.k);
  PreparedOp linear = prepared(op, run, name, std::move(kernel), bytes);
  linear.wanted[0] = wanted_x(vulkan.limits(), w.dtype, tokens);
  linear.wanted[1] = wanted_w(w.dtype);
  return linear;
}

}  // namespace

const OpImpl linear_impl{supports, prepare};

}  // namespace strata::vulkan
