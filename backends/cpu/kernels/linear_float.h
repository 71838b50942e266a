#pragma once

// The float matmuls: rows of w and rows of x as they lie, or for many tokens a chunk of some rows
// of w copied to a panel. One arithmetic whatever the shapes: columns are cut into chunks of
// kChunkSteps steps, a chunk is summed in 16 lanes step by step (float_columns.h) and the lanes by
// the tree of sum16, and the chunks' sums are added in order. So a value depends on its two rows
// only, and what a tile keeps between chunks is one float: w's chunks stay in L2 while many tokens
// pass, those of a few tokens in L1 while many rows of w pass.

#include "backends/cpu/kernels/float_columns.h"
#include "backends/cpu/kernels/linear_finish.h"

namespace strata::cpu::STRATA_ISA {

static constexpr std::int64_t kChunkSteps = kFloatChunkSteps;
static constexpr int kBlockRows = kFloatRows;  // of w, whose sums are kept at once
static constexpr int kBlockTokens = 96;        // of x, without a panel

// Rows of w and tokens of a tile: as many sums as leave registers for a step of both.
#if defined(__AVX512F__)
static constexpr int kTileRows = 4;
static constexpr int tile_tokens(FloatKind kind) {
  return sizeof(Bf16x32) > sizeof(F32x16) && kind == FloatKind::bf16_by_bf16 ? 4 : 6;
}
#elif defined(__AVX2__) || defined(__ARM_NEON)
static constexpr int kTileRows = 2;
static constexpr int tile_tokens(FloatKind kind) { return kind == FloatKind::bf16_by_bf16 ? 2 : 3; }
#else
static constexpr int kTileRows = 2;
static constexpr int tile_tokens(FloatKind) { return 1; }
#endif
static_assert(kBlockRows % kTileRows == 0 && kTileRows <= 4);

// Rows of x that a block of tokens reads, and where the block's sums lie.
struct FloatBlock {
  const std::byte* w;  // row 0 of the block
  std::int64_t w_stride;
  std::int64_t rows;
  const std::byte* const* x;  // one per token
  std::int64_t tokens;
  std::int64_t k;
  float* sums;       // [tokens][kBlockRows]
  std::byte* panel;  // kFloatPanelBytes, or null: w is read where it lies
};

static constexpr int step_bytes(FloatKind kind) { return step_columns(kind) * w_bytes(kind); }

// Whether lines are asked for ahead: converting halves leaves too few loads under way by
// themselves, while F32 and BF16 come faster without (0.8 - 0.9 of reading, 0.7 - 0.8 with it).
static constexpr bool asks_ahead(FloatKind kind, int tokens) {
  return tokens == 1 && kind == FloatKind::f16_by_f32;
}

// Sums of columns [begin, end), whole steps of one chunk, for R rows of w and T of x. `ahead`: the
// lines that follow these, for a token that comes alone and so reads w from memory. Panel: w[0] is
// where the rows' steps lie by turns, step `begin` of each first.
template <FloatKind Kind, int R, int T, bool Panel>
static inline void tile_sums(const std::byte* const* w, const std::byte* const* x,
                             const std::byte* const* ahead, std::int64_t begin, std::int64_t end,
                             float (*sums)[R]) {
  const std::byte* at = Panel ? w[0] : nullptr;
  F32x16 acc[T][R];
  for (int t = 0; t < T; ++t)
    for (int r = 0; r < R; ++r) acc[t][r] = set16(0.0F);
  for (std::int64_t c = begin; c < end; c += step_columns(Kind)) {
    decltype(load_x<Kind>(x[0])) xs[T];
    for (int t = 0; t < T; ++t) xs[t] = load_x<Kind>(x[t] + c * x_bytes(Kind));
    for (int r = 0; r < R; ++r) {
      if constexpr (asks_ahead(Kind, T)) __builtin_prefetch(ahead[r] + c * w_bytes(Kind));
      const auto ws = load_w<Kind>(Panel ? at + r * step_bytes(Kind) : w[r] + c * w_bytes(Kind));
      for (int t = 0; t < T; ++t) acc[t][r] = dot16(ws, xs[t], acc[t][r]);
    }
    if constexpr (Panel) at += R * step_bytes(Kind);
  }
  for (int t = 0; t < T; ++t) store_sums(acc[t], R, sums[t]);
}

// Sums of the last `columns`, from `begin` on: a step that is not full, filled up with zeros.
template <FloatKind Kind, int R, int T>
static void tail_sums(const std::byte* const* w, const std::byte* const* x, std::int64_t begin,
                      std::int64_t columns, float (*sums)[R]) {
  std::byte w_step[R][64];
  std::byte x_step[T][64];
  const std::byte* ws[R];
  const std::byte* xs[T];
  __builtin_memset(w_step, 0, sizeof(w_step));
  __builtin_memset(x_step, 0, sizeof(x_step));
  for (int r = 0; r < R; ++r) {
    __builtin_memcpy(w_step[r], w[r] + begin * w_bytes(Kind),
                     static_cast<std::size_t>(columns * w_bytes(Kind)));
    ws[r] = w_step[r];
  }
  for (int t = 0; t < T; ++t) {
    __builtin_memcpy(x_step[t], x[t] + begin * x_bytes(Kind),
                     static_cast<std::size_t>(columns * x_bytes(Kind)));
    xs[t] = x_step[t];
  }
  tile_sums<Kind, R, T, false>(ws, xs, ws, 0, step_columns(Kind), sums);
}

// Rows [row, row + kTileRows) of the panel's chunk.
static inline std::byte* panel_rows(const FloatBlock& block, FloatKind kind, std::int64_t row) {
  return block.panel + row * kChunkSteps * step_bytes(kind);
}

// Copies whole steps [begin, end) of the block's rows to its panel. Rows beyond the last one are
// left: their sums are not used.
template <FloatKind Kind>
static void fill_panel(const FloatBlock& block, std::int64_t begin, std::int64_t end) {
  for (std::int64_t row = 0; row < block.rows; ++row) {
    const std::byte* from = block.w + row * block.w_stride + begin * w_bytes(Kind);
    std::byte* to = panel_rows(block, Kind, row / kTileRows * kTileRows);
    to += row % kTileRows * step_bytes(Kind);
    for (std::int64_t c = begin; c < end; c += step_columns(Kind)) {
      __builtin_memcpy(to, from, step_bytes(Kind));
      from += step_bytes(Kind);
      to += kTileRows * step_bytes(Kind);
    }
  }
}

// Asks for this tile's share of the chunk of the tokens that come next: while one group of tokens
// meets all rows of the panel, the next group's columns come to the first cache.
template <FloatKind Kind, int T>
static inline void ask_for_tokens(const FloatBlock& block, std::int64_t row, std::int64_t token,
                                  std::int64_t begin, std::int64_t end) {
  const std::int64_t bytes = (end - begin) * x_bytes(Kind);
  const std::int64_t share = bytes * row / kBlockRows;
  const std::int64_t share_end = bytes * (row + kTileRows) / kBlockRows;
  for (std::int64_t t = token + T; t < token + 2 * T && t < block.tokens; ++t)
    for (std::int64_t at = share; at < share_end; at += 64)
      __builtin_prefetch(block.x[t] + begin * x_bytes(Kind) + at);
}

// Adds a tile's sums of the chunk that begins at `begin` to those of the chunks before it.
template <int T>
static inline void keep_sums(const FloatBlock& block, std::int64_t row, std::int64_t token,
                             std::int64_t begin, const float (*sums)[kTileRows]) {
  for (int t = 0; t < T; ++t) {
    float* kept = block.sums + (token + t) * kBlockRows + row;
    for (int r = 0; r < kTileRows; ++r) kept[r] = begin == 0 ? sums[t][r] : kept[r] + sums[t][r];
  }
}

// Chunk [begin, end) of rows [row, row + kTileRows) and tokens [token, token + T): its sums are
// the first, or are added. Rows beyond the last one repeat it.
template <FloatKind Kind, int T>
static void run_tile(const FloatBlock& block, std::int64_t row, std::int64_t token,
                     std::int64_t begin, std::int64_t end) {
  const std::byte* w[kTileRows];
  const std::byte*
      ahead[kTileRows];  // less `begin`: the next chunk of these rows, or the next rows
  float sums[T][kTileRows];
  const bool steps = end - begin >= step_columns(Kind);
  if (block.panel != nullptr && steps) {
    ask_for_tokens<Kind, T>(block, row, token, begin, end);
    const std::byte* panel[kTileRows] = {panel_rows(block, Kind, row)};
    tile_sums<Kind, kTileRows, T, true>(panel, block.x + token, panel, begin, end, sums);
    return keep_sums<T>(block, row, token, begin, sums);
  }
  for (int r = 0; r < kTileRows; ++r) {
    const std::int64_t at = row + r < block.rows ? row + r : block.rows - 1;
    w[r] = block.w + at * block.w_stride;
    ahead[r] = end < block.k ? w[r] + (end - begin) * w_bytes(Kind)
                             : w[r] + kTileRows * block.w_stride - begin * w_bytes(Kind);
  }
  if (steps)
    tile_sums<Kind, kTileRows, T, false>(w, block.x + token, ahead, begin, end, sums);
  else
    tail_sums<Kind, kTileRows, T>(w, block.x + token, begin, end - begin, sums);
  keep_sums<T>(block, row, token, begin, sums);
}

// Chunk [begin, end) of all rows of the block for T tokens or, at its end, fewer.
template <FloatKind Kind, int T>
static inline void run_tokens(const FloatBlock& block, std::int64_t row, std::int64_t row_end,
                              std::int64_t token, std::int64_t begin, std::int64_t end) {
  if constexpr (T > 1)
    if (block.tokens - token < T)
      return run_tokens<Kind, T - 1>(block, row, row_end, token, begin, end);
  for (; row < row_end; row += kTileRows) run_tile<Kind, T>(block, row, token, begin, end);
}

// Where the chunk that begins at column `begin` ends: after kChunkSteps whole steps, or as many as
// there are; what is left then is less than a step, and a chunk too.
template <FloatKind Kind>
static inline std::int64_t chunk_end(std::int64_t begin, std::int64_t k) {
  constexpr std::int64_t kStep = step_columns(Kind);
  const std::int64_t left = k - begin;
  if (left >= kChunkSteps * kStep) return begin + kChunkSteps * kStep;
  return left >= kStep ? begin + left / kStep * kStep : k;
}

// All sums of the block. For a few tokens row by row: w is read once, in the order of memory.
template <FloatKind Kind>
static void block_sums(const FloatBlock& block) {
  constexpr int kTokens = tile_tokens(Kind);
  const std::int64_t rows_at_once = block.tokens <= kTokens ? kTileRows : block.rows;
  for (std::int64_t row = 0; row < block.rows; row += rows_at_once) {
    for (std::int64_t begin = 0; begin < block.k;) {
      const std::int64_t end = chunk_end<Kind>(begin, block.k);
      if (block.panel != nullptr && end - begin >= step_columns(Kind))
        fill_panel<Kind>(block, begin, end);
      for (std::int64_t token = 0; token < block.tokens; token += kTokens)
        run_tokens<Kind, kTokens>(block, row, row + rows_at_once, token, begin, end);
      begin = end;
    }
  }
}

// Rows [row, row + rows <= kBlockRows) of w and of w_up, tokens [first, first + tokens <= Tokens)
// of the task. `base` and `up_base` are row `row` of both as the kind reads them; sums and up_sums
// are of Tokens * kBlockRows floats.
template <FloatKind Kind, int Tokens>
static inline void run_block(const LinearTask& task, const std::byte* base,
                             const std::byte* up_base, std::int64_t stride, std::int64_t row,
                             std::int64_t rows, std::int64_t first, float* sums, float* up_sums,
                             std::byte* panel) {
  const std::byte* x[Tokens];
  const std::int64_t left = task.rows - first;
  const std::int64_t tokens = left < Tokens ? left : Tokens;
  for (std::int64_t t = 0; t < tokens; ++t) x[t] = x_row(task, first + t);
  block_sums<Kind>({base, stride, rows, x, tokens, task.k, sums, panel});
  if (up_base != nullptr)
    block_sums<Kind>({up_base, stride, rows, x, tokens, task.k, up_sums, panel});
  for (std::int64_t t = 0; t < tokens; ++t)
    finish_columns(task, row, rows, first + t, sums + t * kBlockRows,
                   up_base == nullptr ? nullptr : up_sums + t * kBlockRows);
}

// Those rows for all tokens, without a panel.
template <FloatKind Kind>
static void run_rows(const LinearTask& task, const std::byte* base, const std::byte* up_base,
                     std::int64_t stride, std::int64_t row, std::int64_t rows) {
  float sums[kBlockTokens * kBlockRows];
  float up_sums[kBlockTokens * kBlockRows];
  for (std::int64_t first = 0; first < task.rows; first += kBlockTokens)
    run_block<Kind, kBlockTokens>(task, base, up_base, stride, row, rows, first, sums, up_sums,
                                  nullptr);
}

// How many rows whose chunks are used again and again fit into L2. Rows at a distance of a large
// power of two fall on the same few sets of the cache: of the usual ones (16 ways of 64 KiB, or
// smaller ones) half may be w's, as many as leave room for the tokens that pass.
static inline std::int64_t cached_rows(std::int64_t stride) {
  std::int64_t rows = 8;
  for (std::int64_t way = 65536; rows < kBlockRows && stride % way != 0; way /= 2) rows *= 2;
  return rows;
}

// Rows [begin, end) of a task of many tokens, by panels. `scratch` holds kFloatScratchBytes.
template <FloatKind Kind>
static void run_panels(const LinearTask& task, std::int64_t begin, std::int64_t end,
                       std::byte* scratch) {
  auto* sums = reinterpret_cast<float*>(scratch + kFloatPanelBytes);
  float* up_sums = sums + kFloatSumBytes / 4;
  for (std::int64_t row = begin; row < end; row += kBlockRows) {
    const std::byte* w = task.w + row * task.w_stride;
    const std::byte* up = task.w_up == nullptr ? nullptr : task.w_up + row * task.w_stride;
    const std::int64_t rows = end - row < kBlockRows ? end - row : kBlockRows;
    for (std::int64_t first = 0; first < task.rows; first += kFloatMostTokens)
      run_block<Kind, kFloatMostTokens>(task, w, up, task.w_stride, row, rows, first, sums, up_sums,
                                        scratch);
  }
}

// Rows [begin, end) of a task whose w is in the file's rows. `scratch`: as kFloatPanelTokens says.
template <FloatKind Kind>
static void run_in_place(const LinearTask& task, std::int64_t begin, std::int64_t end,
                         std::byte* scratch) {
  if (task.rows >= kFloatPanelTokens) return run_panels<Kind>(task, begin, end, scratch);
  const std::int64_t at_once = cached_rows(task.w_stride);
  for (std::int64_t row = begin; row < end; row += at_once) {
    const std::int64_t offset = row * task.w_stride;
    run_rows<Kind>(task, task.w + offset, task.w_up == nullptr ? nullptr : task.w_up + offset,
                   task.w_stride, row, end - row < at_once ? end - row : at_once);
  }
}

}  // namespace strata::cpu::STRATA_ISA
