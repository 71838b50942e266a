// The matrices of tile_shape.glsl in plain arithmetic, for tests of gemm_tiles.glsl on devices that
// have none: products of halves are exact in f32, and so are sums but for the rounding of each
// addition. An invocation has every SUBGROUP-th sum of its subgroup's matrix, token after token.
#extension GL_KHR_shader_subgroup_basic : require
#extension GL_EXT_control_flow_attributes : require
#include "include/tile_shape.glsl"
#include "include/rounding.glsl"

#define UNROLLED [[dont_unroll]]  // drivers that play a GPU compile longer than they run
#define HalfPair uint

struct WeightMatrix {
  uint first;  // pair, of w_tile
};
struct XMatrix {
  uint first;
};
struct Sums {
  uint first;  // of own_sums
};
const uint kOwnSums = kStaged / SUBGROUP;
float own_sums[kRowMatrices * kTokenMatrices * kOwnSums];

shared HalfPair w_tile[TILE_ROWS * kPitchPairs];
shared HalfPair x_tile[TILE_TOKENS * kPitchPairs];
shared float stage_tile[kSubgroups * kStaged];

HalfPair half_pair(vec2 values) { return f16_bits(values.x) | (f16_bits(values.y) << 16); }
HalfPair half_pair(uint bits) { return bits; }

WeightMatrix load_w(uint row, uint column) {
  return WeightMatrix(row * kPitchPairs + column / 2u);
}
XMatrix load_x(uint token, uint column) { return XMatrix(token * kPitchPairs + column / 2u); }

Sums no_sums(uint i) {
  UNROLLED for (uint j = 0u; j < kOwnSums; ++j) own_sums[i * kOwnSums + j] = 0.0;
  return Sums(i * kOwnSums);
}

void multiply_add(Sums sums, WeightMatrix w, XMatrix x) {
  UNROLLED for (uint i = 0u; i < kOwnSums; ++i) {
    const uint element = i * SUBGROUP + gl_SubgroupInvocationID;
    const uint w_row = w.first + element % TILE_M * kPitchPairs;
    const uint x_row = x.first + element / TILE_M * kPitchPairs;
    float sum = own_sums[sums.first + i];
    // lavapipe ends loops after 65535 turns, of all loops of a shader together: not here too.
    [[unroll]] for (uint pair = 0u; pair < TILE_K / 2u; ++pair) {
      const vec2 products =
          unpackHalf2x16(w_tile[w_row + pair]) * unpackHalf2x16(x_tile[x_row + pair]);
      sum += products.x;
      sum += products.y;
    }
    own_sums[sums.first + i] = sum;
  }
}

void multiply_by(Sums sums, float factor) {
  UNROLLED for (uint i = 0u; i < kOwnSums; ++i) own_sums[sums.first + i] *= factor;
}

void store(Sums sums, uint subgroup) {
  UNROLLED for (uint i = 0u; i < kOwnSums; ++i)
    stage_tile[subgroup * kStaged + i * SUBGROUP + gl_SubgroupInvocationID] =
        own_sums[sums.first + i];
}
