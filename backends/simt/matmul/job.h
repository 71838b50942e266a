#pragma once

#include "backends/simt/norm_row.h"
#include "platform.h"
#include "runtime/core/dtype.h"

// What the matmul kernels are told. One launch multiplies x with up to three matrices.
namespace strata::STRATA_SIMT {

inline constexpr int kMaxMatrices = 3;

/// out = x * w^T + bias + residual, or swiglu(x * w^T, x * w_up^T).
struct MatmulMatrix {
  const std::byte* w;     ///< (n, k), or the first of (experts, n, k)
  const std::byte* w_up;  ///< like w, of gated pairs
  std::int64_t w_stride;  ///< bytes from row to row in Layout::rows; in planes, from panel to panel
  std::byte* out;         ///< (rows, n) f32
  std::int64_t out_stride;
  const float* bias;          ///< (n), or null
  const std::byte* residual;  ///< (rows, n) f32, or null
  std::int64_t residual_stride;
  int n;
  int first_block;  ///< the launch's first block in x that works on this matrix; ascending
};

/// Rows of x by expert, as moe_sort made them; `offsets` is null where there are no experts.
struct MatmulRoutes {
  const int* offsets;  ///< (experts + 1)
  const int* order;    ///< routes, by expert
  int experts;
  int routes_per_x;           ///< row of x = route / routes_per_x
  std::int64_t expert_bytes;  ///< from one expert's matrix to the next
};

/// Where results go that the next matmul wants in Layout::quantized: those of 32 columns are made
/// int8 by the block that comes last of those that compute them, from the f32 rows of `out`.
struct QuantizedOut {
  std::byte* data;    ///< (rows, n), or null: f32 is what is wanted
  unsigned* tickets;  ///< of tickets_of(): one per tile of rows and 32 columns
  std::int64_t stride;
  int sharing;  ///< blocks that compute 32 columns together
};

/// The norm of a job's one matrix: of one row of x it is made by the block that comes last of all
/// of gemv, of more by a kernel behind the matmul.
struct NormedOut {
  NormRows norm;     ///< of the matrix's `out`; norm.out.data is null where there is none
  unsigned* ticket;  ///< of tickets_of()
};

struct MatmulJob {
  MatmulMatrix matrices[kMaxMatrices];  ///< those behind the last begin at block 2^31 - 1
  MatmulRoutes routes;
  QuantizedOut quantized;
  NormedOut normed;
  const std::byte* x;  ///< (rows, k) in the layout of the kernel
  std::int64_t x_stride;
  int rows;    ///< of x without experts; else routes
  int tokens;  ///< of the step: an expert has at most as many routes
  int k;
  DType type;    ///< of w
  bool planes;   ///< w is in Layout::planes16
  bool gated;    ///< matrices have w_up
  bool aligned;  ///< rows of x and w (in Layout::rows) begin on multiples of 16 bytes, as k does
};

/// The matrix that this block works on.
STRATA_DEVICE MatmulMatrix matrix_of_block(const MatmulJob& job) {
  MatmulMatrix matrix = job.matrices[0];
  STRATA_UNROLL
  for (int i = 1; i < kMaxMatrices; ++i)
    if (block_x() >= job.matrices[i].first_block) matrix = job.matrices[i];
  return matrix;
}

/// Some consecutive rows of x that are multiplied with one matrix.
struct TokenRange {
  int first;  ///< row of x, or place in the order of routes
  int count;
  int expert;
};

/// The expert of the route at `place`, found by the warp together: the number of experts whose
/// routes end before it.
STRATA_DEVICE int expert_at(const MatmulRoutes& routes, int place) {
  int expert = 0;
  for (int e = 0; e < routes.experts; e += lane_count()) {
    const int mine = e + lane();
    expert += bit_count(ballot(mine < routes.experts && routes.offsets[mine + 1] <= place));
  }
  return expert;
}

/// The row of out, of the `i`-th row of a range; and its row of x.
STRATA_DEVICE int out_row(const MatmulRoutes& routes, const TokenRange& range, int i) {
  const int place = range.first + i;
  return routes.offsets == nullptr ? place : routes.order[place];
}
STRATA_DEVICE int x_row(const MatmulRoutes& routes, int out_row) {
  return routes.offsets == nullptr ? out_row : out_row / routes.routes_per_x;
}

/// silu(gate) * up
STRATA_DEVICE float gate_of(float gate, float up) { return gate / (1.0F + exp_of(-gate)) * up; }

/// Writes one result of a matmul with its bias and residual.
STRATA_DEVICE void write_result(const MatmulMatrix& m, int row, int column, float value) {
  if (m.bias != nullptr) value += m.bias[column];
  if (m.residual != nullptr)
    value += reinterpret_cast<const float*>(m.residual + row * m.residual_stride)[column];
  reinterpret_cast<float*>(m.out + row * m.out_stride)[column] = value;
}

}  // namespace strata::STRATA_SIMT
