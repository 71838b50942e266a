// The matrices of tile_shape.glsl by the device's own instructions.
#extension GL_KHR_cooperative_matrix : require
#extension GL_KHR_memory_scope_semantics : require
#extension GL_KHR_shader_subgroup_basic : require
#extension GL_EXT_shader_explicit_arithmetic_types_float16 : require
#extension GL_EXT_control_flow_attributes : require
#include "include/tile_shape.glsl"

#define UNROLLED [[unroll]]
#define HalfPair f16vec2
#define WeightMatrix coopmat<float16_t, gl_ScopeSubgroup, TILE_M, TILE_K, gl_MatrixUseA>
#define XMatrix coopmat<float16_t, gl_ScopeSubgroup, TILE_K, TILE_N, gl_MatrixUseB>
#define Sums coopmat<float, gl_ScopeSubgroup, TILE_M, TILE_N, gl_MatrixUseAccumulator>

shared HalfPair w_tile[TILE_ROWS * kPitchPairs];
shared HalfPair x_tile[TILE_TOKENS * kPitchPairs];
shared float stage_tile[kSubgroups * kStaged];

HalfPair half_pair(vec2 values) { return f16vec2(values); }
HalfPair half_pair(uint bits) { return unpackFloat2x16(bits); }

WeightMatrix load_w(uint row, uint column) {
  WeightMatrix w;
  coopMatLoad(w, w_tile, row * kPitchPairs + column / 2u, kPitchPairs,
              gl_CooperativeMatrixLayoutRowMajor);
  return w;
}

XMatrix load_x(uint token, uint column) {
  XMatrix x;
  coopMatLoad(x, x_tile, token * kPitchPairs + column / 2u, kPitchPairs,
              gl_CooperativeMatrixLayoutColumnMajor);
  return x;
}

Sums no_sums(uint i) { return Sums(0.0); }
void multiply_add(inout Sums sums, WeightMatrix w, XMatrix x) { sums = coopMatMulAdd(w, x, sums); }
void multiply_by(inout Sums sums, float factor) { sums = sums * factor; }
void store(Sums sums, uint subgroup) {
  coopMatStore(sums, stage_tile, subgroup * kStaged, TILE_M,
               gl_CooperativeMatrixLayoutColumnMajor);
}
