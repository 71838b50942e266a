// Many rows of x times w transposed, in f32: a work group makes a tile of TILE_ROWS outputs of
// TILE_TOKENS rows of x. Slab by slab of 32 columns, the weights are decoded into shared memory
// once for the tile; each invocation then adds up 4 * ROW_QUADS outputs of 4 * TOKEN_QUADS rows.
// The columns of a slab are those of 8 pieces of a unit, or of neighbouring units, in their order.
// EXPERTS: tiles of the routes of one expert, from a list that experts_tiles.comp made.
#include "include/address.glsl"
#include "include/matmul_push.glsl"
#include "include/silu.glsl"
#include "include/weights.glsl"
#include "include/x_rows.glsl"
layout(local_size_x_id = 0) in;
layout(constant_id = 6) const uint TILE_ROWS = 64u;  // of w; gated: half of them of each matrix
layout(constant_id = 7) const uint TILE_TOKENS = 64u;
layout(constant_id = 8) const uint ROW_QUADS = 1u;
layout(constant_id = 9) const uint TOKEN_QUADS = 1u;

layout(constant_id = 10) const uint UNROLL = 4u;  // columns

const uint kSlab = 32u;
const uint kSlabPieces = 8u;
const uint kOutRows = GATED != 0u ? TILE_ROWS / 2u : TILE_ROWS;
const uint kTaskPieces = kUnitPieces < 4u ? kUnitPieces : 4u;
const uint kRowQuads = TILE_ROWS / 4u;
const uint kTokenQuads = TILE_TOKENS / 4u;
const uint kRowThreads = kRowQuads / ROW_QUADS;
const uint kTokenThreads = kTokenQuads / TOKEN_QUADS;

shared vec4 w_tile[kSlab * kRowQuads];
shared vec4 x_tile[kSlab * kTokenQuads];

#ifdef EXPERTS
#include "include/gemm_routes.glsl"
#else
#include "include/gemm_matrix.glsl"
#endif

// Unit and piece of piece `i` of slab `s`.
uvec2 slab_piece(uint s, uint i) {
  if (kWideUnits) return uvec2(s >> 1, (s & 1u) * kSlabPieces + i);
  return uvec2(s * (kSlabPieces / kUnitPieces) + i / kUnitPieces, i % kUnitPieces);
}

// Gated, a quad of the tile's rows is two of each matrix, so that one invocation has both.
uint matrix_of(uint tile_row) { return GATED != 0u ? (tile_row >> 1) & 1u : 0u; }
uint out_row_of(uint tile_row) {
  return GATED != 0u ? (tile_row >> 2) * 2u + (tile_row & 1u) : tile_row;
}

void load_weights(Tile tile, uint s) {
  const uint tasks = TILE_ROWS * (kSlabPieces / kTaskPieces);
  for (uint task = gl_LocalInvocationID.x; task < tasks; task += gl_WorkGroupSize.x) {
    const uint tile_row = task % TILE_ROWS;
    const uint first = task / TILE_ROWS * kTaskPieces;
    const uvec2 at = slab_piece(s, first);
    vec4 pieces[kTaskPieces];
    [[unroll]] for (uint i = 0u; i < kTaskPieces; ++i) pieces[i] = vec4(0);
    if (at.x * kUnitColumns < k) {
      const uint row = min(out_row_of(tile_row), tile.rows - 1u - tile.row);
      const Unit unit = load_unit(
          weight_row(w[matrix_of(tile_row)], tile.w_row + row, k, w_stride), at.x);
      [[unroll]] for (uint i = 0u; i < kTaskPieces; ++i)
        pieces[i] = group_piece(unit, at.y >> 2, kFloats ? i : i & 3u);
    }
    [[unroll]] for (uint i = 0u; i < kTaskPieces; ++i)
      [[unroll]] for (uint c = 0u; c < 4u; ++c)
        w_tile[((first + i) * 4u + c) * kRowQuads + (tile_row >> 2)][tile_row & 3u] = pieces[i][c];
  }
}

void load_x(Tile tile, uint s) {
  const uint tasks = TILE_TOKENS * kSlabPieces;
  for (uint task = gl_LocalInvocationID.x; task < tasks; task += gl_WorkGroupSize.x) {
    const uint t = task % TILE_TOKENS;
    const uint piece = task / TILE_TOKENS;
    const uvec2 at = slab_piece(s, piece);
    const uint column = unit_column(at.x, at.y);
    vec4 v = vec4(0);
    if (t < tile.tokens && column < k)
      v = x_columns(address_at(x, x_row(tile, t), x_stride), 0u, column);
    [[unroll]] for (uint c = 0u; c < 4u; ++c)
      x_tile[(piece * 4u + c) * kTokenQuads + (t >> 2)][t & 3u] = v[c];
  }
}

void main() {
  Tile tile;
  if (!find_tile(tile)) return;
  const uint row_thread = gl_LocalInvocationID.x % kRowThreads;
  const uint token_thread = gl_LocalInvocationID.x / kRowThreads;
  vec4 sums[4u * ROW_QUADS * TOKEN_QUADS];  // [row][token quad]
  [[unroll]] for (uint i = 0u; i < 4u * ROW_QUADS * TOKEN_QUADS; ++i) sums[i] = vec4(0);

  const uint slabs = (k + kSlab - 1u) / kSlab;
  for (uint s = 0u; s < slabs; ++s) {
    barrier();
    load_weights(tile, s);
    load_x(tile, s);
    barrier();
    [[dont_unroll]] for (uint first = 0u; first < kSlab; first += UNROLL) {
      [[unroll]] for (uint j = 0u; j < UNROLL; ++j) {
        const uint c = first + j;
        vec4 a[ROW_QUADS];
        vec4 b[TOKEN_QUADS];
        [[unroll]] for (uint q = 0u; q < ROW_QUADS; ++q)
          a[q] = w_tile[c * kRowQuads + q * kRowThreads + row_thread];
        [[unroll]] for (uint q = 0u; q < TOKEN_QUADS; ++q)
          b[q] = x_tile[c * kTokenQuads + q * kTokenThreads + token_thread];
        [[unroll]] for (uint r = 0u; r < 4u * ROW_QUADS; ++r)
          [[unroll]] for (uint q = 0u; q < TOKEN_QUADS; ++q)
            sums[r * TOKEN_QUADS + q] += a[r >> 2][r & 3u] * b[q];
      }
    }
  }

  [[unroll]] for (uint q = 0u; q < TOKEN_QUADS; ++q) {
    [[unroll]] for (uint j = 0u; j < 4u; ++j) {
      const uint t = (q * kTokenThreads + token_thread) * 4u + j;
      if (t >= tile.tokens) continue;
      const OutRow to = out_row(tile, t);
      [[unroll]] for (uint r = 0u; r < 4u * ROW_QUADS; ++r) {
        const uint tile_row = ((r >> 2) * kRowThreads + row_thread) * 4u + (r & 3u);
        if (matrix_of(r) != 0u) continue;
        float value = sums[r * TOKEN_QUADS + q][j];
        if (GATED != 0u) value = silu_times(value, sums[(r | 2u) * TOKEN_QUADS + q][j]);
        const uint row = tile.row + out_row_of(tile_row);
        if (row < tile.rows) store_out(to, row, value);
      }
    }
  }
}
