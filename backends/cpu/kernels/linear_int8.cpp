// Matmul of block-quantized weights with quantized activations. Per 32 columns (or 16, as the dtype
// has its scales) the products are summed exactly in int32; what follows in f32 is the same for
// every batch width and layout, blocks in column order (codec.h), and so are the bits.
#include "backends/cpu/kernels/linear_int8.h"

#include "backends/cpu/kernels/linear_finish.h"

namespace strata::cpu::STRATA_ISA {

// Tokens that are worth expanding panels for; a multiple of tiles fits any larger number.
static constexpr int kWideTokens = 12;
static_assert(kWideTokens >= (kTileTokens - 1) * (kTileTokens - 2));
static_assert(kTileRows <= kInt8TileRows);

struct Job {
  const LinearTask& task;
  const PanelKernels& kernels;
  std::byte* wide;    // kInt8Columns of kTilePanels panels, expanded
  std::byte* packed;  // and packed, where the weights lie in the file's rows
  float* sums;        // (kInt8Tokens, kTileRows), of w and then of w_up
};

static inline std::int64_t smaller(std::int64_t a, std::int64_t b) { return a < b ? a : b; }

static const PanelKernels& panel_kernels(DType dtype) {
  switch (dtype) {
    case DType::Q4_0:
      return kernels_q4_0;
    case DType::Q4_1:
      return kernels_q4_1;
    case DType::Q5_0:
      return kernels_q5_0;
    case DType::Q5_1:
      return kernels_q5_1;
    case DType::IQ4_NL:
      return kernels_iq4_nl;
    case DType::MXFP4:
      return kernels_mxfp4;
    case DType::Q2_K:
      return kernels_q2_k;
    case DType::Q3_K:
      return kernels_q3_k;
    case DType::Q4_K:
      return kernels_q4_k;
    case DType::Q5_K:
      return kernels_q5_k;
    case DType::Q6_K:
      return kernels_q6_k;
    case DType::IQ4_XS:
      return kernels_iq4_xs;
    default:
      return kernels_q8_0;
  }
}

// Where a panel begins, and which of its columns.
struct Place {
  std::int64_t row;
  std::int64_t block;  // of 32 columns
};

// Where the file's rows have it.
static const std::byte* in_rows(const Job& job, const std::byte* w, Place place) {
  const std::int64_t unit = place.block * kBlock / job.kernels.unit_columns;
  return w + place.row * job.task.w_stride + unit * job.kernels.unit_bytes / kRows;
}

// `count` blocks of the panel at `place`; those that lie in rows are packed, while the rows of what
// comes next are on their way.
static const std::byte* panel_at(const Job& job, const std::byte* w, Place place,
                                 std::int64_t count, Place next) {
  const LinearTask& task = job.task;
  if (task.w_panels)
    return w + place.row * task.w_stride +
           place.block * kBlock / job.kernels.unit_columns * job.kernels.unit_bytes;
  pack_panel(task.w_dtype, in_rows(job, w, place), task.w_stride,
             smaller(task.n - place.row, kRows), count * kBlock, job.packed, in_rows(job, w, next));
  return job.packed;
}

// sums[tokens][16] of one panel.
static void multiply_panel(const Job& job, const std::byte* w, std::int64_t row,
                           const std::byte* const* x, int tokens, float* sums) {
  const std::int64_t all = job.task.k / kBlock;
  const std::int64_t piece = job.task.w_panels ? all : kInt8Columns / kBlock;
  for (int t = 0; t < tokens; ++t) store16(sums + t * kRows, set16(0.0F));
  for (std::int64_t first = 0; first < all; first += piece) {
    const Blocks blocks = {job.task.k, first, smaller(piece, all - first)};
    const Place next = first + piece < all ? Place{row, first + piece} : Place{row + kRows, 0};
    const std::byte* units = panel_at(job, w, {row, first}, blocks.count, next);
    if (tokens == 1)
      job.kernels.one(units, blocks, x[0], sums);
    else
      job.kernels.few(units, blocks, x, tokens, sums);
  }
}

// Rows [begin, end) of w for a few tokens, `first` the task's number of the first.
static void run_few(const Job& job, std::int64_t begin, std::int64_t end, std::int64_t first,
                    const std::byte* const* x, int tokens) {
  float sums[kWideTokens * kRows];
  float up_sums[kWideTokens * kRows];
  for (std::int64_t row = begin; row < end; row += kRows) {
    multiply_panel(job, job.task.w, row, x, tokens, sums);
    const bool gated = job.task.w_up != nullptr;
    if (gated) multiply_panel(job, job.task.w_up, row, x, tokens, up_sums);
    for (int t = 0; t < tokens; ++t)
      finish_columns(job.task, row, smaller(end - row, kRows), first + t, sums + t * kRows,
                     gated ? up_sums + t * kRows : nullptr);
  }
}

// sums[tokens][kTileRows] of kTilePanels panels, of which those from `end` on do not count.
static void multiply_tiles(const Job& job, const std::byte* w, std::int64_t row, std::int64_t end,
                           const std::byte* const* x, int tokens, float* sums) {
  const std::int64_t all = job.task.k / kBlock;
  const std::int64_t piece = kInt8Columns / kBlock;
  for (int i = 0; i < tokens * kTilePanels; ++i) store16(sums + i * kRows, set16(0.0F));
  const int tiles = (tokens + kTileTokens - 1) / kTileTokens;
  const int large = tokens - tiles * (kTileTokens - 1);  // the others have one token less
  for (std::int64_t first = 0; first < all; first += piece) {
    const Blocks blocks = {job.task.k, first, smaller(piece, all - first)};
    for (int p = 0; p < kTilePanels; ++p) {
      const std::int64_t from = row + p * kRows < end ? row + p * kRows : row;
      const Place next =
          p + 1 < kTilePanels ? Place{from + kRows, first} : Place{row, first + piece};
      job.kernels.expand(panel_at(job, w, {from, first}, blocks.count, next), blocks.count, p,
                         job.wide);
    }
    for (int i = 0, t = 0; i < tiles; ++i) {
      const int count = i < large ? kTileTokens : kTileTokens - 1;
      job.kernels.tile(job.wide, blocks, x + t, count, sums + t * kTileRows);
      t += count;
    }
  }
}

static void run_wide(const Job& job, std::int64_t begin, std::int64_t end, std::int64_t first,
                     const std::byte* const* x, int tokens) {
  float* up_sums = job.sums + tokens * kTileRows;
  for (std::int64_t row = begin; row < end; row += kTileRows) {
    multiply_tiles(job, job.task.w, row, end, x, tokens, job.sums);
    const bool gated = job.task.w_up != nullptr;
    if (gated) multiply_tiles(job, job.task.w_up, row, end, x, tokens, up_sums);
    for (int t = 0; t < tokens; ++t)
      finish_columns(job.task, row, smaller(end - row, kTileRows), first + t,
                     job.sums + t * kTileRows, gated ? up_sums + t * kTileRows : nullptr);
  }
}

// Rows [begin, end) of w, `begin` a multiple of 16, all rows of x (quantized). `scratch` has the
// bytes that ops/matmul.cpp gives it: none for one token and packed weights.
void linear_int8(const LinearTask& task, std::int64_t begin, std::int64_t end, std::byte* scratch) {
  std::byte* wide = scratch + kInt8PackedBytes;
  const Job job = {task, panel_kernels(task.w_dtype), wide, scratch,
                   reinterpret_cast<float*>(wide + kInt8WideBytes)};
  const std::byte* x[kInt8Tokens];
  for (std::int64_t first = 0; first < task.rows; first += kInt8Tokens) {
    const int tokens = static_cast<int>(smaller(task.rows - first, kInt8Tokens));
    for (int t = 0; t < tokens; ++t) x[t] = x_row(task, first + t);
    if (tokens < kWideTokens)
      run_few(job, begin, end, first, x, tokens);
    else
      run_wide(job, begin, end, first, x, tokens);
  }
}

}  // namespace strata::cpu::STRATA_ISA
