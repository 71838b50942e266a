#include "backends/simt/any_codec.h"
#include "backends/simt/common.h"
#include "backends/simt/matmul/launches.h"
#include "backends/simt/matmul/tiles.h"

// x in f32 times weights of any dtype and layout, all in f32: every product and sum of it. For
// prompts of F32 models, and for whatever has no kernel of its own.
namespace strata::STRATA_SIMT {
namespace {

constexpr int kTile = 64;   // rows of w, and rows of x, of a block
constexpr int kDepth = 32;  // columns at a time: a unit of quantized weights
constexpr int kPitch = kTile + 4;
constexpr int kEach = 4;  // rows of w, and rows of x, of a thread
static_assert(kBlockThreads == kTile / kEach * (kTile / kEach));

// A thread's four rows of a gated tile are two of w and the same two of w_up.
struct TileRow {
  int row;
  bool up;
};
STRATA_DEVICE TileRow tile_row(bool gated, int first, int i) {
  if (!gated) return {first + i, false};
  return {first + i / kEach * (kEach / 2) + i % (kEach / 2), i % kEach >= kEach / 2};
}

// Columns of step `step` as w_tile[column][row].
STRATA_DEVICE void load_weights(const MatmulJob& job, const MatmulMatrix& m, int expert, int first,
                                int step, float* tile) {
  const bool blocks_of_256 = dtype_blocks_256(job.type);
  const auto blocks = static_cast<unsigned>(job.k) / (blocks_of_256 ? 256 : 32);
  if (job.type == DType::F32 || job.type == DType::F16 || job.type == DType::BF16) {
    for (int i = thread_x(); i < kTile * kDepth; i += threads_x()) {
      const TileRow at = tile_row(job.gated, first, i / kDepth);
      const RowPlace place = place_of_row(job, m, expert, at.up, at.row, 0);
      tile[i % kDepth * kPitch + i / kDepth] =
          float_element(job.type, place.base, step * kDepth + i % kDepth, job.k);
    }
    return;
  }
  for (int i = thread_x(); i < kTile; i += threads_x()) {
    const TileRow at = tile_row(job.gated, first, i);
    const RowPlace place = place_of_row(job, m, expert, at.up, at.row, blocks);
    FloatUnit unit;
    if (job.planes)
      decode_plane_unit(job.type, place, step, unit);
    else
      decode_file_unit(job.type, place.base, step, unit);
    STRATA_UNROLL
    for (int c = 0; c < kDepth; ++c) tile[c * kPitch + i] = unit.values[c];
  }
}

// The same columns of x as x_tile[column][row].
STRATA_DEVICE void load_x(const MatmulJob& job, const TokenRange& range, int step, float* tile) {
  for (int i = thread_x(); i < kTile * kDepth; i += threads_x()) {
    const int token = i / kDepth;
    const int c = i % kDepth;
    const int column = piece_column(job.type, step, c / 16) + c % 16;
    float value = 0;
    if (token < range.count && column < job.k) {
      const int row = x_row(job.routes, out_row(job.routes, range, token));
      value = reinterpret_cast<const float*>(job.x + row * job.x_stride)[column];
    }
    tile[c * kPitch + token] = value;
  }
}

// Blocks (tiles of all rows of the matrices, tiles of rows of x). Shared: both tiles.
STRATA_KERNEL STRATA_BOUNDS(kBlockThreads) void gemm_f32(MatmulJob job) {
  const TokenRange range = tile_tokens(job, kTile);
  if (range.count <= 0) return;
  const MatmulMatrix m = matrix_of_block(job);
  const int tile_rows = job.gated ? kTile / 2 : kTile;
  const int first = (block_x() - m.first_block) * tile_rows;
  auto* w_tile = dynamic_shared<float>();
  float* x_tile = w_tile + kDepth * kPitch;
  const int mine_w = thread_x() % (kTile / kEach) * kEach;
  const int mine_x = thread_x() / (kTile / kEach) * kEach;
  float sums[kEach][kEach] = {};
  const int steps = (job.k + kDepth - 1) / kDepth;
  for (int step = 0; step < steps; ++step) {
    sync_block();
    load_weights(job, m, range.expert, first, step, w_tile);
    load_x(job, range, step, x_tile);
    sync_block();
    for (int c = 0; c < kDepth; ++c) {
      const auto w = load16<Float4>(w_tile + c * kPitch + mine_w);
      const auto x = load16<Float4>(x_tile + c * kPitch + mine_x);
      const float ws[kEach] = {w.x, w.y, w.z, w.w};
      const float xs[kEach] = {x.x, x.y, x.z, x.w};
      STRATA_UNROLL
      for (int i = 0; i < kEach; ++i) {
        STRATA_UNROLL
        for (int j = 0; j < kEach; ++j) sums[i][j] = fma_of(ws[i], xs[j], sums[i][j]);
      }
    }
  }
  STRATA_UNROLL
  for (int j = 0; j < kEach; ++j) {
    if (mine_x + j >= range.count) continue;
    const int row = out_row(job.routes, range, mine_x + j);
    STRATA_UNROLL
    for (int i = 0; i < kEach; ++i) {
      const TileRow at = tile_row(job.gated, first, mine_w + i);
      if (at.row >= m.n || at.up) continue;
      const float value =
          job.gated ? gate_of(sums[i][j], sums[(i + kEach / 2) % kEach][j]) : sums[i][j];
      write_result(m, row, at.row, value);
    }
  }
}

}  // namespace

void launch_gemm_f32(Stream& stream, MatmulJob job) {
  const unsigned blocks = divide_rows(job, job.gated ? kTile / 2 : kTile);
  launch(stream, gemm_f32, {blocks, static_cast<unsigned>(most_tiles(job, kTile))}, kBlockThreads,
         2 * kDepth * kPitch * sizeof(float), job);
}

}  // namespace strata::STRATA_SIMT
