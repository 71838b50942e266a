#include <algorithm>
#include <vector>

#include "backends/simt/matmul/launches.h"
#include "backends/simt/matmul/matmul.h"
#include "backends/simt/matmul/prompt.h"
#include "backends/simt/rows.h"

namespace strata::STRATA_SIMT {
namespace {

// Grids have fewer blocks than this in y, where tiles of rows of x are.
constexpr std::int64_t kMostTiles = 65535;
constexpr std::int64_t kMostRows = std::int64_t{1} << 30;

struct MatmulState {
  int lanes;
  // By dtype of the weights; own kernels for those that are not among them.
  struct ByLibrary {
    DType type;
    PromptChoice choice;
  };
  std::vector<ByLibrary> by_library;
};

bool is_weight(DType dtype) { return dtype != DType::I8 && dtype != DType::I32; }

bool aligned16(const void* data, std::int64_t stride) {
  return reinterpret_cast<std::uintptr_t>(data) % 16 == 0 && stride % 16 == 0;
}

std::string_view kernel_name(const OpDesc& op) {
  const DType type = op.in[1].dtype;
  if (op.in[0].layout == Layout::quantized)
    return op.in[1].layout == Layout::planes16 ? "int8 gemv" : "int8 gemv of file rows";
  if (op.in[0].layout == Layout::rounded) return "bf16 tiles";
  return !is_quantized(type) && matmul_tokens(op) <= kFewTokens ? "f32 gemv" : "f32 tiles";
}

// Chooses for the weights of a step of a prompt, and returns the workspace that it takes.
std::size_t choose_library(SimtDevice& device, const OpDesc& op, MatmulState& state) {
  std::size_t workspace = 0;
  if (!is_prompt_matmul(op)) return workspace;
  const bool gated = op.kind() == OpKind::LinearGated;
  for (const MatmulWeight& matrix : matmul_weights(op.kind())) {
    const TensorDesc& w = op.in[static_cast<std::size_t>(matrix.weight)];
    if (w.shape.rank == 0) continue;
    const PromptChoice choice = choose_for_prompts(device, w);
    if (choice.library == nullptr) continue;
    state.by_library.push_back({w.dtype, choice});
    workspace = std::max(workspace, prompt_workspace_bytes(w, matmul_tokens(op), gated));
  }
  return workspace;
}

// What experts, of which a step has several per token, take of the grid at most.
std::int64_t most_rows_of_grid(const OpDesc& op) {
  return op.out.empty() || op.out[0].shape.rank == 0 ? 0 : op.out[0].shape.rows();
}

// Of gemv, whose tiles have at least a row each.
std::int64_t most_tickets(const TensorDesc& out) {
  return out.shape.rows() * (out.shape.columns() / kScaleBlock);
}

// The f32 rows of a result that is written quantized.
std::size_t scratch_bytes(const OpDesc& op) {
  if (op.out.empty() || op.out[0].layout != Layout::quantized) return 0;
  return static_cast<std::size_t>(op.out[0].shape.elements()) * sizeof(float);
}

// Enqueues the products. Whether the kernel norms its result itself, if it is asked to: that of one
// row does (launch_gemv_few), but not those of few rows that stand in for it where w is as in the
// file or not aligned.
bool multiply(Stream& stream, const PreparedOp& op, const MatmulJob& job, Workspace workspace) {
  const auto& state = *static_cast<const MatmulState*>(op.state.get());
  const int lanes = state.lanes;
  const bool one_row = job.routes.offsets == nullptr && job.rows == 1;
  for (const MatmulState::ByLibrary& chosen : state.by_library)
    if (chosen.type == job.type && run_by_library(stream, chosen.choice, job, workspace))
      return false;
  switch (op.desc.in[0].layout) {
    case Layout::quantized:
      launch_gemv_int8(stream, job, lanes);
      return one_row && job.planes;
    case Layout::rounded:
      launch_gemm_bf16(stream, job, lanes);
      return false;
    default:
      break;
  }
  if (is_quantized(job.type) || job.tokens > kFewTokens) {
    launch_gemm_f32(stream, job);
    return false;
  }
  launch_gemv_float(stream, job, lanes);
  return one_row && job.aligned;
}

}  // namespace

std::int64_t matmul_tokens(const OpDesc& op) {
  const std::int64_t rows = op.in[0].shape.rows();
  if (const auto* experts = std::get_if<LinearExperts>(&op.attributes))
    return experts->shared_input ? rows : rows / experts->used;
  if (const auto* experts = std::get_if<LinearExpertsGated>(&op.attributes))
    return experts->shared_input ? rows : rows / experts->used;
  return rows;
}

bool matmul_supports(const OpDesc& op, const TensorDesc& w, const TensorDesc& out) {
  const TensorDesc& x = op.in[0];
  if (!is_f32_rows(out) || !is_weight(w.dtype) || x.dtype != activation_dtype(x.layout))
    return false;
  if (w.layout != Layout::rows && (w.layout != Layout::planes16 || !is_quantized(w.dtype)))
    return false;
  if (w.shape.columns() >= kMostRows || w.shape.rows() >= kMostRows) return false;
  switch (x.layout) {
    case Layout::rows:
      return most_rows_of_grid(op) < kMostRows;
    case Layout::quantized:  // a route each, for experts
      return is_quantized(w.dtype) && most_rows_of_grid(op) <= kMostTiles;
    case Layout::rounded:
      return w.dtype != DType::F32;
    default:
      return false;
  }
}

bool linear_supports(const OpDesc& op) {
  for (const TensorDesc& added : {op.in[2], op.in[3]})
    if (added.shape.rank > 0 && !is_f32_rows(added)) return false;
  return matmul_supports(op, op.in[1], op.out[0]);
}

bool gated_supports(const OpDesc& op) {
  const TensorDesc& out = op.out[0];
  if (op.in[1] != op.in[2]) return false;
  if (out.layout != Layout::quantized) return matmul_supports(op, op.in[1], out);
  return is_activation(out) && op.in[0].layout == Layout::quantized &&
         most_tickets(out) <= kTickets &&
         matmul_supports(op, op.in[1], {DType::F32, Layout::rows, out.shape});
}

Layout wanted_activation(DType weight, std::int64_t tokens) {
  if (weight == DType::F32) return Layout::rows;
  if (tokens > kFewTokens) return Layout::rounded;
  return is_quantized(weight) ? Layout::quantized : Layout::rows;
}

PreparedOp prepare_matmul(Device& device, const OpDesc& op, OpRun run) {
  auto state = std::make_shared<MatmulState>();
  state->lanes = simt_device(device).limits().lanes;
  const std::size_t workspace = choose_library(simt_device(device), op, *state);
  const std::string_view name = workspace > 0 ? "bf16 library" : kernel_name(op);
  PreparedOp result =
      prepared(op, run, name, std::max(workspace, scratch_bytes(op)), std::move(state));
  const std::int64_t tokens = matmul_tokens(op);
  result.wanted[0] = wanted_activation(op.in[1].dtype, tokens);
  for (const MatmulWeight& matrix : matmul_weights(op.kind())) {
    const TensorDesc& w = op.in[static_cast<std::size_t>(matrix.weight)];
    if (w.shape.rank == 0) continue;
    if (wanted_activation(w.dtype, tokens) != result.wanted[0]) result.wanted[0] = Layout::rows;
    if (is_quantized(w.dtype))
      result.wanted[static_cast<std::size_t>(matrix.weight)] = Layout::planes16;
  }
  return result;
}

MatmulJob matmul_job(const PreparedOp& op, const TensorView& x) {
  MatmulJob job{};
  job.x = x.data;
  job.x_stride = x.row_stride;
  job.rows = static_cast<int>(x.rows());
  job.tokens = static_cast<int>(matmul_tokens(op.desc));
  job.k = static_cast<int>(x.columns());
  job.routes.routes_per_x = 1;
  job.aligned = aligned16(x.data, x.row_stride) && x.columns() % 8 == 0;
  return job;
}

void add_matrix(MatmulJob& job, const TensorView& w, const TensorView& out, const TensorView& bias,
                const TensorView& residual) {
  MatmulMatrix* m = job.matrices;
  while (m->n != 0) ++m;
  const bool experts = w.shape.rank == 3;
  job.type = w.dtype;
  job.planes = w.layout == Layout::planes16;
  m->w = w.data;
  m->w_stride = job.planes ? kPanelRows * w.row_stride : w.row_stride;
  m->n = static_cast<int>(experts ? w.shape[1] : w.rows());
  m->out = out.data;
  m->out_stride = out.row_stride;
  m->bias = bias.as<const float>();
  m->residual = residual.data;
  m->residual_stride = residual.row_stride;
  if (!job.planes && !aligned16(w.data, w.row_stride)) job.aligned = false;
  if (!experts) return;
  const std::int64_t n = job.planes ? groups(m->n, kPanelRows) * kPanelRows : m->n;
  job.routes.expert_bytes = n * w.row_stride;
}

void add_gated(Stream& stream, MatmulJob& job, const TensorView& gate, const TensorView& up,
               const TensorView& out, Workspace workspace) {
  if (out.layout == Layout::quantized) {
    add_matrix(job, gate, dense_view(workspace.data(), {DType::F32, Layout::rows, out.shape}));
    job.quantized = {out.data, tickets_of(stream), out.row_stride, 0};
  } else {
    add_matrix(job, gate, out);
  }
  job.gated = true;
  job.matrices[0].w_up = up.data;
  if (!job.planes && !aligned16(up.data, up.row_stride)) job.aligned = false;
}

void set_routes(MatmulJob& job, const TensorView& offsets, const TensorView& order,
                std::int32_t used, bool shared_input) {
  job.routes.offsets = offsets.as<const int>();
  job.routes.order = order.as<const int>();
  job.routes.experts = static_cast<int>(offsets.shape.elements()) - 1;
  job.routes.routes_per_x = shared_input ? used : 1;
  if (shared_input) job.rows *= used;
}

void run_job(Stream& stream, const PreparedOp& op, const MatmulJob& job, Workspace workspace) {
  if (job.rows == 0 || job.matrices[0].n == 0) return;
  const bool normed = multiply(stream, op, job, workspace);
  if (job.normed.norm.out.data != nullptr && !normed)
    launch_norm_rows(stream, job.normed.norm, job.rows);
}

}  // namespace strata::STRATA_SIMT
