#include "backends/cpu/ops/matmul.h"

#include <algorithm>

namespace strata::cpu {
namespace {

constexpr std::size_t kAlign = 64;

std::size_t aligned(std::size_t bytes) { return (bytes + kAlign - 1) / kAlign * kAlign; }

// Scratch of one thread's integer matmul for `tokens` at most.
std::int64_t int8_scratch_bytes(std::int64_t tokens, bool panels) {
  if (tokens > 1)
    return kInt8PackedBytes + kInt8WideBytes + 2 * std::min(tokens, kInt8Tokens) * kInt8SumBytes;
  return panels ? 0 : kInt8PackedBytes;
}

// Scratch of one thread's float matmul of weights that are read as they are.
std::size_t float_scratch_bytes(std::int64_t tokens) {
  return tokens < kFloatPanelTokens ? 0 : static_cast<std::size_t>(kFloatScratchBytes);
}

// Scratch of one thread: rows of w as f32, or panels of w made ready for many tokens.
std::size_t scratch_bytes(const TensorDesc& x, const TensorDesc& w) {
  const DType dtype = w.dtype;
  const std::int64_t k = w.shape.columns();
  switch (matmul_path(x.layout)) {
    case MatmulPath::f32:
      if (dtype == DType::F32 || dtype == DType::F16) return float_scratch_bytes(x.shape.rows());
      return static_cast<std::size_t>(kScratchRows) *
             aligned(static_cast<std::size_t>(k) * sizeof(float));
    case MatmulPath::bf16:
      return float_scratch_bytes(x.shape.rows());
    case MatmulPath::int8:
      break;
  }
  return aligned(
      static_cast<std::size_t>(int8_scratch_bytes(x.shape.rows(), w.layout == Layout::panels16)));
}

std::string_view kernel_name(const OpDesc& op) {
  switch (matmul_path(op.in[0].layout)) {
    case MatmulPath::f32:
      return op.in[1].dtype == DType::F32 ? "f32" : "dequantize + f32";
    case MatmulPath::bf16:
      return "bf16";
    case MatmulPath::int8:
      break;
  }
  return op.in[1].layout == Layout::panels16 ? "int8 panels" : "int8 rows";
}

Layout wanted_x(MatmulPath path) {
  return path == MatmulPath::int8   ? Layout::quantized
         : path == MatmulPath::bf16 ? Layout::rounded
                                    : Layout::rows;
}

}  // namespace

bool is_weight_dtype(DType dtype) { return dtype != DType::I8 && dtype != DType::I32; }

MatmulPath matmul_path(Layout x) {
  return x == Layout::quantized ? MatmulPath::int8
         : x == Layout::rounded ? MatmulPath::bf16
                                : MatmulPath::f32;
}

MatmulPath preferred_path(DType weight) {
  return is_quantized(weight)    ? MatmulPath::int8
         : weight == DType::BF16 ? MatmulPath::bf16
                                 : MatmulPath::f32;
}

bool matmul_supports(const OpDesc& op) {
  const TensorDesc& x = op.in[0];
  const TensorDesc& w = op.in[1];
  if (op.out[0].dtype != DType::F32 || op.out[0].layout != Layout::rows) return false;
  if (!is_weight_dtype(w.dtype) || x.dtype != activation_dtype(x.layout)) return false;
  const MatmulPath path = matmul_path(x.layout);
  if (w.layout != Layout::rows && (w.layout != Layout::panels16 || path != MatmulPath::int8))
    return false;
  return path == MatmulPath::f32 || path == preferred_path(w.dtype);
}

PreparedOp prepare_matmul(Device& device, const OpDesc& op, OpRun run) {
  PreparedOp prepared;
  prepared.desc = op;
  prepared.run = run;
  prepared.kernel = kernel_name(op);
  prepared.workspace_bytes = matmul_workspace_bytes(device, op.in[0], op.in[1]);
  const MatmulPath path = preferred_path(op.in[1].dtype);
  prepared.wanted[0] = wanted_x(path);
  if (path == MatmulPath::int8) prepared.wanted[1] = Layout::panels16;
  return prepared;
}

std::size_t matmul_workspace_bytes(Device& device, const TensorDesc& x, const TensorDesc& w) {
  const int threads = static_cast<CpuDevice&>(device).pool().size();
  return static_cast<std::size_t>(threads) * scratch_bytes(x, w);
}

LinearTask matmul_task(const TensorView& x, const TensorView& w, const TensorView& out) {
  LinearTask task{};
  task.x = x.data;
  task.x_stride = x.row_stride;
  task.w = w.data;
  task.w_stride = w.row_stride;
  task.w_dtype = w.dtype;
  task.w_panels = w.layout == Layout::panels16;
  task.n = w.rows();
  task.k = w.columns();
  task.out = out.as<float>();
  task.out_stride = out.row_stride;
  task.rows = out.rows();
  return task;
}

}  // namespace strata::cpu
