// How gemm_tiles.glsl cuts its work, and its memory. A subgroup multiplies matrices of
// (TILE_M, TILE_K) times (TILE_K, TILE_N) at once: rows of w times rows of x. Part of the two
// implementations, tile_khr.glsl and tile_plain.glsl, which have the same names:
//   UNROLLED                          before loops over what an invocation has
//   HalfPair                          two halves in shared memory
//   HalfPair half_pair(vec2)          rounded to the nearest
//   HalfPair half_pair(uint)          from their bits
//   WeightMatrix load_w(row, column)  from w_tile
//   XMatrix load_x(token, column)     from x_tile
//   Sums                              f32 sums of weights times x, spread over the subgroup
//   Sums no_sums(i)                  zeros, the i-th of an invocation
//   multiply_add(sums, w, x), multiply_by(sums, factor)
//   store(sums, subgroup)             to stage_tile, row after row for each token in turn
layout(local_size_x_id = 0) in;
layout(constant_id = 6) const uint TILE_ROWS = 128u;  // of w; gated: half of them of each matrix
layout(constant_id = 7) const uint TILE_TOKENS = 32u;
layout(constant_id = 8) const uint SUB_ROWS = 32u;  // of one subgroup
layout(constant_id = 9) const uint SUB_TOKENS = 32u;
layout(constant_id = 11) const uint TILE_M = 16u;
layout(constant_id = 12) const uint TILE_N = 16u;
layout(constant_id = 13) const uint TILE_K = 16u;
layout(constant_id = 14) const uint SUBGROUP = 32u;

const uint kSlab = 32u;                      // columns that are in shared memory
const uint kPitchPairs = (kSlab + 8u) / 2u;  // rows begin on other banks
const uint kSubgroups = (TILE_ROWS / SUB_ROWS) * (TILE_TOKENS / SUB_TOKENS);
const uint kRowMatrices = SUB_ROWS / TILE_M;  // of a subgroup
const uint kTokenMatrices = SUB_TOKENS / TILE_N;
const uint kStaged = TILE_M * TILE_N;  // sums of a subgroup
