// Many rows of x times w transposed by matrices of a subgroup, in halves with sums in f32: a work
// group makes a tile of TILE_ROWS outputs of TILE_TOKENS rows of x, a subgroup SUB_ROWS of
// SUB_TOKENS of them. Slab by slab of 32 columns, weights are decoded into shared memory while the
// next slab's are on their way. x comes as include/half_rows.glsl has it.
//
// Halves end at 65504 and lose digits below 2^-14, so weights are scaled by a power of two that is
// the same for a whole tile: the largest that was met lies above 2^8 when the scale is set and
// below 2^15 as long as it stays. A slab with larger ones lowers the scale, and the sums with it.
// F16 weights are taken as they are.
// EXPERTS: tiles of the routes of one expert, from a list that experts_tiles.comp made. Needs one
// of include/tile_*.glsl.
#include "include/address.glsl"
#include "include/half_rows.glsl"
#include "include/matmul_push.glsl"
#include "include/silu.glsl"
#include "include/weights.glsl"
#include "include/weights_bound.glsl"

const bool kScaled = DTYPE != F16;
const int kAim = 8;   // exponent of the largest weight's half when the scale is set
const int kEnd = 15;  // that no half reaches

const uint kSlabPieces = kSlab / 4u;
const uint kTaskPieces = kUnitPieces < 4u ? kUnitPieces : 4u;
const uint kRowTasks = kSlabPieces / kTaskPieces;
const uint kTasks = TILE_ROWS * kRowTasks;
const uint kOwnTasks = (kTasks + gl_WorkGroupSize.x - 1u) / gl_WorkGroupSize.x;
const uint kRowChunks = kSlab / 8u;  // of 16 bytes, of a row of x
const uint kChunks = TILE_TOKENS * kRowChunks;
const uint kOwnChunks = (kChunks + gl_WorkGroupSize.x - 1u) / gl_WorkGroupSize.x;

const uint kOutRows = GATED != 0u ? TILE_ROWS / 2u : TILE_ROWS;
const uint kSubgroupRows = TILE_ROWS / SUB_ROWS;  // subgroups along rows of w
const uint kPairedMatrices = GATED != 0u ? 2u : 1u;
const uint kOwnStaged = kSubgroups * kStaged / gl_WorkGroupSize.x;

shared uint w_largest;  // bits of the largest bound that did not fit

#ifdef EXPERTS
#include "include/gemm_routes.glsl"
#else
#include "include/gemm_matrix.glsl"
#endif

// What is on its way from memory.
Unit units[kOwnTasks];
uvec4 chunks[kOwnChunks];
float gates[kOwnStaged];  // of a gated pair

// Unit and piece of piece `i` of slab `s`.
uvec2 slab_piece(uint s, uint i) {
  if (kWideUnits) return uvec2(s >> 1, (s & 1u) * kSlabPieces + i);
  return uvec2(s * (kSlabPieces / kUnitPieces) + i / kUnitPieces, i % kUnitPieces);
}

// Gated, matrices of gate and of up alternate along the rows of the tile.
uint matrix_of(uint tile_row) { return GATED != 0u ? tile_row / TILE_M & 1u : 0u; }
uint out_row_of(uint tile_row) {
  return GATED != 0u ? tile_row / (2u * TILE_M) * TILE_M + tile_row % TILE_M : tile_row;
}

void fetch_weights(Tile tile, uint s) {
  UNROLLED for (uint j = 0u; j < kOwnTasks; ++j) {
    const uint task = gl_LocalInvocationID.x + j * gl_WorkGroupSize.x;
    const uvec2 at = slab_piece(s, task % kRowTasks * kTaskPieces);
    if (task >= kTasks || at.x * kUnitColumns >= k) {
      units[j] = no_unit();
      continue;
    }
    const uint tile_row = task / kRowTasks;
    const uint row = min(out_row_of(tile_row), tile.rows - 1u - tile.row);
    units[j] =
        load_unit(weight_row(w[matrix_of(tile_row)], tile.w_row + row, k, w_stride), at.x);
  }
}

void fetch_x(Tile tile, uint s) {
  UNROLLED for (uint j = 0u; j < kOwnChunks; ++j) {
    const uint task = gl_LocalInvocationID.x + j * gl_WorkGroupSize.x;
    const uint t = task / kRowChunks;
    const uvec2 at = slab_piece(s, task % kRowChunks * 2u);
    chunks[j] = uvec4(0);
    if (task < kChunks && t < tile.tokens)
      chunks[j] =
          Words4(address_at(x, x_row(tile, t), x_stride)).at[unit_column(at.x, at.y) >> 3];
  }
}

// The units' part of slab `s` as halves times 2^-exponent.
void store_weights(uint s, int exponent) {
  const float factor = power_of_two(-exponent);
  UNROLLED for (uint j = 0u; j < kOwnTasks; ++j) {
    const uint task = gl_LocalInvocationID.x + j * gl_WorkGroupSize.x;
    if (task >= kTasks) continue;
    const uint first = task % kRowTasks * kTaskPieces;
    const uint g = slab_piece(s, first).y >> 2;
    Unit unit = units[j];
    if (kScaled) {
      const uint bound = group_bound(unit, g);
      if (exponent_of(bound) - exponent >= kEnd) atomicMax(w_largest, bound);
      unit.scale *= factor;
      unit.minimum *= factor;
    }
    const uint to = task / kRowTasks * kPitchPairs + first * 2u;
    UNROLLED for (uint i = 0u; i < kTaskPieces; ++i) {
      vec4 v = group_piece(unit, g, i);
      if (kScaled && kFloats) v *= factor;
      w_tile[to + 2u * i] = half_pair(v.xy);
      w_tile[to + 2u * i + 1u] = half_pair(v.zw);
    }
  }
}

void store_x() {
  UNROLLED for (uint j = 0u; j < kOwnChunks; ++j) {
    const uint task = gl_LocalInvocationID.x + j * gl_WorkGroupSize.x;
    if (task >= kChunks) continue;
    const uint to = task / kRowChunks * kPitchPairs + task % kRowChunks * 4u;
    UNROLLED for (uint i = 0u; i < 4u; ++i) x_tile[to + i] = half_pair(chunks[j][i]);
  }
}

// The first tile row, and row of x, of matrix (r, t) of a subgroup.
uvec2 matrix_place(uint subgroup, uint r, uint t) {
  return uvec2(subgroup % kSubgroupRows * SUB_ROWS + r * TILE_M,
               subgroup / kSubgroupRows * SUB_TOKENS + t * TILE_N);
}

// Matrix (r, t) of every subgroup is in stage_tile.
void write_staged(Tile tile, uint r, uint t, int exponent) {
  UNROLLED for (uint i = 0u; i < kOwnStaged; ++i) {
    const uint at = gl_LocalInvocationID.x + i * gl_WorkGroupSize.x;
    const uvec2 place = matrix_place(at / kStaged, r, t);
    const uint token = place.y + at % kStaged / TILE_M;
    const uint row = tile.row + out_row_of(place.x + at % TILE_M);
    if (token >= tile.tokens || row >= tile.rows) continue;
    // In two steps, since a power of two may be beyond f32 where the result is not.
    const int power = exponent + row_exponent(x, x_row(tile, token), x_stride);
    const float low = power_of_two(power / 2);
    const float high = power_of_two(power - power / 2);
    float value = stage_tile[at] * low * high;
    if (GATED != 0u) value = silu_times(gates[i] * low * high, value);
    store_out(out_row(tile, token), row, value);
  }
}

void main() {
  Tile tile;
  if (!find_tile(tile)) return;
  Sums sums[kRowMatrices * kTokenMatrices];
  UNROLLED for (uint i = 0u; i < kRowMatrices * kTokenMatrices; ++i) sums[i] = no_sums(i);
  int exponent = kScaled ? -126 : 0;
  if (gl_LocalInvocationID.x == 0u) w_largest = 0u;
  barrier();

  const uvec2 first = matrix_place(gl_SubgroupID, 0u, 0u);
  const uint slabs = (k + kSlab - 1u) / kSlab;
  fetch_weights(tile, 0u);
  fetch_x(tile, 0u);
  for (uint s = 0u; s < slabs; ++s) {
    store_weights(s, exponent);
    store_x();
    barrier();
    if (kScaled && exponent_of(w_largest) - exponent >= kEnd) {
      const int raised = exponent_of(w_largest) - kAim;
      UNROLLED for (uint i = 0u; i < kRowMatrices * kTokenMatrices; ++i)
        multiply_by(sums[i], power_of_two(max(exponent - raised, -126)));
      exponent = raised;
      store_weights(s, exponent);
      barrier();
    }
    if (s + 1u < slabs) {
      fetch_weights(tile, s + 1u);
      fetch_x(tile, s + 1u);
    }
    UNROLLED for (uint column = 0u; column < kSlab; column += TILE_K) {
      XMatrix b[kTokenMatrices];
      UNROLLED for (uint t = 0u; t < kTokenMatrices; ++t)
        b[t] = load_x(first.y + t * TILE_N, column);
      UNROLLED for (uint r = 0u; r < kRowMatrices; ++r) {
        const WeightMatrix a = load_w(first.x + r * TILE_M, column);
        UNROLLED for (uint t = 0u; t < kTokenMatrices; ++t)
          multiply_add(sums[r * kTokenMatrices + t], a, b[t]);
      }
    }
    barrier();
  }

  UNROLLED for (uint r = 0u; r < kRowMatrices; r += kPairedMatrices) {
    UNROLLED for (uint t = 0u; t < kTokenMatrices; ++t) {
      store(sums[r * kTokenMatrices + t], gl_SubgroupID);
      barrier();
      if (GATED != 0u) {
        UNROLLED for (uint i = 0u; i < kOwnStaged; ++i)
          gates[i] = stage_tile[gl_LocalInvocationID.x + i * gl_WorkGroupSize.x];
        barrier();
        store(sums[(r + kPairedMatrices - 1u) * kTokenMatrices + t], gl_SubgroupID);
        barrier();
      }
      write_staged(tile, r, t, exponent);
      barrier();
    }
  }
}
