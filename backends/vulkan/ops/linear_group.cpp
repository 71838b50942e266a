#include <algorithm>

#include "backends/vulkan/ops/matmul_tiles.h"

namespace strata::vulkan {
namespace {

using Kernels = std::array<MatmulKernel, 3>;

std::span<const MatmulWeight> matrices() { return matmul_weights(OpKind::LinearGroup); }

const TensorDesc& input(const OpDesc& op, int operand) {
  return op.in[static_cast<std::size_t>(operand)];
}

// Adds matrix `i` to the launch, in place `at`.
void add(MatmulPush& push, const Operands& operands, const MatmulWeight& matrix, std::size_t at) {
  const TensorView& w = operands.in[static_cast<std::size_t>(matrix.weight)];
  const TensorView& out = operands.out[static_cast<std::size_t>(matrix.out)];
  push.k = size32(w.columns());
  push.w_stride = stride_bytes(w);
  push.w[at] = address(w);
  push.n[at] = size32(w.rows());
  push.out[at] = address(out);
  push.out_stride[at] = stride_bytes(out);
  push.bias[at] = address(operands.in[static_cast<std::size_t>(matrix.bias)]);
}

// The halves of x, for those kernels that take them.
XRows halves_of(Stream& stream, const Kernels& kernels, const TensorView& x, Workspace workspace) {
  const XRows floats{address(x), stride_bytes(x)};
  for (const MatmulKernel& kernel : kernels)
    if (half_rows_bytes(kernel, 1, x.columns()) > 0)
      return half_rows(stream, kernel, floats, size32(x.rows()), size32(x.columns()),
                       address(workspace));
  return floats;
}

// Neighbours with the same kernel share a launch, but for tiles, which have one matrix.
void run(Stream& stream, const PreparedOp& op, const Operands& operands, Workspace workspace) {
  const auto& kernels = state_of<Kernels>(op);
  const TensorView& x = operands.in[0];
  const XRows halves = halves_of(stream, kernels, x, workspace);
  MatmulPush empty;
  empty.rows = size32(x.rows());
  MatmulPush push = empty;
  std::size_t count = 0;  // of matrices in `push`
  const MatmulKernel* kernel = nullptr;
  for (std::size_t i = 0; i < kernels.size(); ++i) {
    const TensorView& w = operands.in[static_cast<std::size_t>(matrices()[i].weight)];
    if (w.data == nullptr) continue;
    const bool shared = count > 0 && !kernel->tiles && kernel->pipeline == kernels[i].pipeline &&
                        push.w_stride == stride_bytes(w);
    if (count > 0 && !shared) {
      run_matmul(stream, *kernel, push);
      push = empty;
      count = 0;
    }
    kernel = &kernels[i];
    set_x(push, kernel->half_rows != VK_NULL_HANDLE ? halves : XRows{address(x), stride_bytes(x)});
    add(push, operands, matrices()[i], count++);
  }
  if (count > 0) run_matmul(stream, *kernel, push);
}

bool supports(const OpDesc& op, const DeviceInfo&) {
  for (const MatmulWeight& matrix : matrices()) {
    const TensorDesc& w = input(op, matrix.weight);
    if (w.shape.rank == 0) continue;
    const TensorDesc& bias = input(op, matrix.bias);
    if (bias.shape.rank > 0 && !is_f32_rows(bias)) return false;
    if (!matmul_supports(op.in[0], w, op.out[static_cast<std::size_t>(matrix.out)])) return false;
  }
  return true;
}

PreparedOp prepare(Device& device, const OpDesc& op) {
  VulkanDevice& vulkan = vulkan_device(device);
  const TensorDesc& x = op.in[0];
  const std::int64_t tokens = x.shape.rows();
  auto kernels = std::make_shared<Kernels>();
  Layout wanted = Layout::quantized;
  std::size_t bytes = 0;
  for (std::size_t i = 0; i < kernels->size(); ++i) {
    const TensorDesc& w = input(op, matrices()[i].weight);
    if (w.shape.rank == 0) continue;
    MatmulShape shape{w.dtype, w.layout, x.layout, w.shape.columns(), tokens};
    shape.n = w.shape.rows();
    (*kernels)[i] = choose_matmul(vulkan, shape);
    bytes = std::max(bytes, half_rows_bytes((*kernels)[i], tokens, shape.k));
    if (wanted_x(vulkan.limits(), w.dtype, tokens) != Layout::quantized) wanted = Layout::rows;
  }
  const std::string_view name = (*kernels)[0].name;
  PreparedOp group = prepared(op, run, name, std::move(kernels), bytes);
  group.wanted[0] = wanted;
  for (const MatmulWeight& matrix : matrices())
    if (const TensorDesc& w = input(op, matrix.weight); w.shape.rank > 0)
      group.wanted[static_cast<std::size_t>(matrix.weight)] = wanted_w(w.dtype);
  return group;
}

}  // namespace

const OpImpl linear_group_impl{supports, prepare};

}  // namespace strata::vulkan
