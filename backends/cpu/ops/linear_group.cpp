#include <algorithm>
#include <array>

#include "backends/cpu/ops/impls.h"
#include "backends/cpu/ops/matmul.h"

namespace strata::cpu {
namespace {

// The linear that gives one of the outputs.
OpDesc member(const OpDesc& op, const MatmulWeight& matrix) {
  const auto in = [&](int i) { return op.in[static_cast<std::size_t>(i)]; };
  return {Linear{},
          {op.in[0], in(matrix.weight), in(matrix.bias), {}},
          {},
          {op.out[static_cast<std::size_t>(matrix.out)]}};
}

// One region for all: they read x once, and nobody waits between them.
void run(Stream& stream, const PreparedOp& op, const Operands& operands, Workspace workspace) {
  const TensorView& x = operands.in[0];
  const MatmulPath path = matmul_path(op.desc.in[0].layout);
  std::array<Matmul, 3> matmuls;
  std::size_t count = 0;
  for (const MatmulWeight& matrix : matmul_weights(OpKind::LinearGroup)) {
    const TensorView& w = operands.in[static_cast<std::size_t>(matrix.weight)];
    if (w.data == nullptr) continue;
    Matmul& matmul = matmuls[count++];
    matmul = {matmul_task(x, w, operands.out[static_cast<std::size_t>(matrix.out)]), path};
    matmul.task.bias = operands.in[static_cast<std::size_t>(matrix.bias)].as<const float>();
  }
  run_matmuls(static_cast<CpuStream&>(stream), {matmuls.data(), count}, x.rows(), workspace);
}

// All read x in one layout, whatever their dtypes.
bool supports(const OpDesc& op, const DeviceInfo& device) {
  const MatmulPath path = preferred_path(op.in[1].dtype);
  for (const MatmulWeight& matrix : matmul_weights(OpKind::LinearGroup)) {
    const OpDesc linear = member(op, matrix);
    if (linear.in[1].shape.rank == 0) continue;
    if (preferred_path(linear.in[1].dtype) != path || !linear_impl.supports(linear, device))
      return false;
  }
  return true;
}

PreparedOp prepare(Device& device, const OpDesc& op) {
  PreparedOp all = prepare_matmul(device, member(op, matmul_weights(OpKind::LinearGroup)[0]), run);
  for (const MatmulWeight& matrix : matmul_weights(OpKind::LinearGroup)) {
    const OpDesc linear = member(op, matrix);
    if (linear.in[1].shape.rank == 0) continue;
    const PreparedOp one = prepare_matmul(device, linear, run);
    all.wanted[static_cast<std::size_t>(matrix.weight)] = one.wanted[1];
    all.workspace_bytes = std::max(all.workspace_bytes, one.workspace_bytes);
  }
  all.desc = op;
  return all;
}

}  // namespace

const OpImpl linear_group_impl{supports, prepare};

}  // namespace strata::cpu
