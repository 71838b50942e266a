#include "backends/simt/matmul/matmul.h"

namespace strata::STRATA_SIMT {
namespace {

const TensorDesc& operand(const OpDesc& op, int i) { return op.in[static_cast<std::size_t>(i)]; }

// All read x in one layout: that which they want, or f32 where plain numbers want different ones.
bool supports(const OpDesc& op, const DeviceInfo&) {
  const TensorDesc& first = op.in[1];
  const std::int64_t tokens = matmul_tokens(op);
  for (const MatmulWeight& matrix : matmul_weights(OpKind::LinearGroup)) {
    const TensorDesc& w = operand(op, matrix.weight);
    if (w.shape.rank == 0) continue;
    const TensorDesc& bias = operand(op, matrix.bias);
    if (bias.shape.rank > 0 && !is_f32_rows(bias)) return false;
    if (!matmul_supports(op, w, op.out[static_cast<std::size_t>(matrix.out)])) return false;
    if (is_quantized(w.dtype) != is_quantized(first.dtype) &&
        wanted_activation(w.dtype, tokens) != wanted_activation(first.dtype, tokens))
      return false;
  }
  return true;
}

bool alike(const TensorView& a, const TensorView& b) {
  return a.dtype == b.dtype && a.layout == b.layout;
}

// One launch for those of one dtype, which begins with the first of them.
void run(Stream& stream, const PreparedOp& op, const Operands& operands, Workspace workspace) {
  const auto weights = matmul_weights(OpKind::LinearGroup);
  const auto w = [&](std::size_t i) -> const TensorView& {
    return operands.in[static_cast<std::size_t>(weights[i].weight)];
  };
  bool done[kMaxMatrices] = {};
  for (std::size_t first = 0; first < weights.size(); ++first) {
    if (done[first] || w(first).data == nullptr) continue;
    MatmulJob job = matmul_job(op, operands.in[0]);
    for (std::size_t i = first; i < weights.size(); ++i) {
      if (done[i] || w(i).data == nullptr || !alike(w(i), w(first))) continue;
      done[i] = true;
      if (w(i).rows() == 0) continue;
      add_matrix(job, w(i), operands.out[static_cast<std::size_t>(weights[i].out)],
                 operands.in[static_cast<std::size_t>(weights[i].bias)]);
    }
    run_job(stream, op, job, workspace);
  }
}

PreparedOp prepare(Device& device, const OpDesc& op) { return prepare_matmul(device, op, run); }

}  // namespace

const OpImpl linear_group_impl{supports, prepare};

}  // namespace strata::STRATA_SIMT
