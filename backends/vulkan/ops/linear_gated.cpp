#include "backends/vulkan/ops/activation.h"
#include "backends/vulkan/ops/matmul_tiles.h"

namespace strata::vulkan {
namespace {

// What is written int8 is f32 first, in the workspace.
void write_quantized(Stream& stream, MatmulPush& push, const TensorView& out, Workspace workspace) {
  push.out = {address(workspace), address(out), {vulkan_stream(stream).tickets()}};
  push.out_stride[0] = size32(4 * out.columns());
  push.out_stride[1] = stride_bytes(out);
}

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
  if (out.layout == Layout::quantized) write_quantized(stream, push, out, workspace);
  set_x(push, half_rows(stream, kernel, {address(x), stride_bytes(x)}, push.rows, push.k,
                        address(workspace)));
  run_matmul(stream, kernel, push);
}

// Work groups that make 32 columns of so many rows have a counter.
bool can_quantize(const TensorDesc& x, const TensorDesc& out) {
  return x.layout == Layout::quantized && out.layout == Layout::quantized && is_activation(out) &&
         groups(out.shape.rows(), kGemvTokens) * (out.shape.columns() / kScaleBlock) <= kTickets;
}

bool supports(const OpDesc& op, const DeviceInfo&) {
  TensorDesc out = op.out[0];
  if (can_quantize(op.in[0], out)) out = {DType::F32, Layout::rows, out.shape};
  return matmul_supports(op.in[0], op.in[1], out) && op.in[1] == op.in[2];
}

PreparedOp prepare(Device& device, const OpDesc& op) {
  VulkanDevice& vulkan = vulkan_device(device);
  const TensorDesc& x = op.in[0];
  const TensorDesc& w = op.in[1];
  const std::int64_t tokens = x.shape.rows();
  MatmulShape shape{w.dtype, w.layout, x.layout, w.shape.columns(), tokens};
  shape.gated = true;
  shape.n = w.shape.rows();
  shape.quantized = op.out[0].layout == Layout::quantized;
  auto kernel = std::make_shared<MatmulKernel>(choose_matmul(vulkan, shape));
  const std::string_view name = kernel->name;
  const std::size_t bytes = shape.quantized ? static_cast<std::size_t>(4 * tokens * shape.n)
                                            : half_rows_bytes(*kernel, tokens, shape.k);
  PreparedOp gated = prepared(op, run, name, std::move(kernel), bytes);
  gated.wanted[0] = wanted_x(vulkan.limits(), w.dtype, tokens);
  gated.wanted[1] = gated.wanted[2] = wanted_w(w.dtype);
  return gated;
}

}  // namespace

const OpImpl linear_gated_impl{supports, prepare};

}  // namespace strata::vulkan
