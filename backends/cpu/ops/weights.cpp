#include "backends/cpu/ops/weights.h"

namespace strata::cpu {
namespace {

constexpr std::size_t kAlign = 64;

std::size_t aligned(std::size_t bytes) { return (bytes + kAlign - 1) / kAlign * kAlign; }

bool is_int8(const OpDesc& op) { return op.in[0].layout == Layout::quantized; }

// Scratch of one thread: some rows of w as f32, or one panel of w.
std::size_t scratch_bytes(const OpDesc& op) {
  const TensorDesc& w = op.in[1];
  const std::int64_t k = w.shape.columns();
  if (is_int8(op))
    return w.layout == Layout::panels16
               ? 0
               : aligned(static_cast<std::size_t>(kPanelRows) * row_bytes(w.dtype, k));
  if (w.dtype == DType::F32) return 0;
  return static_cast<std::size_t>(kScratchRows) *
         aligned(static_cast<std::size_t>(k) * sizeof(float));
}

std::string_view kernel_name(const OpDesc& op) {
  if (!is_int8(op)) return op.in[1].dtype == DType::F32 ? "f32" : "dequantize + f32";
  return op.in[1].layout == Layout::panels16 ? "int8 panels" : "int8 rows";
}

}  // namespace

bool is_weight_dtype(DType dtype) { return dtype != DType::I8 && dtype != DType::I32; }

bool has_int8_path(DType dtype) { return dtype == DType::Q8_0 || dtype == DType::Q4_0; }

bool matmul_supports(const OpDesc& op) {
  const TensorDesc& x = op.in[0];
  const TensorDesc& w = op.in[1];
  if (op.out[0].dtype != DType::F32 || op.out[0].layout != Layout::rows) return false;
  if (x.layout == Layout::quantized) return has_int8_path(w.dtype) && w.layout != Layout::quantized;
  return x.dtype == DType::F32 && x.layout == Layout::rows && is_weight_dtype(w.dtype) &&
         w.layout == Layout::rows;
}

PreparedOp prepare_matmul(Device& device, const OpDesc& op, OpRun run) {
  PreparedOp prepared;
  prepared.desc = op;
  prepared.run = run;
  prepared.kernel = kernel_name(op);
  const auto threads = static_cast<std::size_t>(static_cast<CpuDevice&>(device).pool().size());
  prepared.workspace_bytes = threads * scratch_bytes(op);
  if (has_int8_path(op.in[1].dtype)) {
    prepared.wanted[0] = Layout::quantized;
    prepared.wanted[1] = Layout::panels16;
  }
  return prepared;
}

LinearTask matmul_task(const Operands& operands, const std::byte* w, std::int64_t n) {
  const TensorView& x = operands.in[0];
  const TensorView& weight = operands.in[1];
  const TensorView& out = operands.out[0];
  LinearTask task{};
  task.x = x.data;
  task.x_stride = x.row_stride;
  task.w = w;
  task.w_stride = weight.row_stride;
  task.w_dtype = weight.dtype;
  task.w_panels = weight.layout == Layout::panels16;
  task.n = n;
  task.k = weight.columns();
  task.out = out.as<float>();
  task.out_stride = out.row_stride;
  task.rows = out.rows();
  return task;
}

void run_matmul_share(CpuStream& stream, const LinearTask& task, bool int8, Share share,
                      Workspace workspace, int thread, int threads) {
  if (share.begin >= share.end || task.rows == 0) return;
  const std::size_t each = workspace.size() / static_cast<std::size_t>(threads);
  std::byte* scratch = workspace.data() + each * static_cast<std::size_t>(thread);
  if (int8)
    stream.kernels().linear_int8(task, share.begin, share.end, scratch);
  else
    stream.kernels().linear_f32(task, share.begin, share.end, reinterpret_cast<float*>(scratch));
}

}  // namespace strata::cpu
