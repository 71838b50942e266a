#version 460
#extension GL_GOOGLE_include_directive : require
#include "include/address.glsl"
#include "include/grid.glsl"
#include "include/half_rows.glsl"
#include "include/rounding.glsl"

// Rows of f32 as halves with an exponent per row (include/half_rows.glsl). A work group has a row.
layout(local_size_x_id = 0) in;

layout(push_constant, std430) uniform Push {
  uvec2 x;
  uvec2 halves;
  uint rows;
  uint columns;
  uint x_stride;  // bytes from row to row
  uint stride;    // of halves
};

shared uint largest[gl_WorkGroupSize.x];

// The bits of the largest magnitude of the row; with infinities or NaN in it every sum of the row is
// one of these, whatever the others become.
uint row_largest(Floats from) {
  const uint lane = gl_LocalInvocationID.x;
  uint mine = 0u;
  for (uint c = lane; c < columns; c += gl_WorkGroupSize.x)
    mine = max(mine, floatBitsToUint(from.at[c]) & 0x7fffffffu);
  largest[lane] = mine;
  for (uint count = gl_WorkGroupSize.x; count > 1u;) {
    const uint rest = (count + 1u) / 2u;
    barrier();
    if (lane + rest < count) largest[lane] = max(largest[lane], largest[lane + rest]);
    count = rest;
  }
  barrier();
  return largest[0];
}

void main() {
  const uint row = group_index();
  if (row >= rows) return;
  Floats from = Floats(address_at(x, row, x_stride));
  Words to = Words(address_at(halves, row, stride));
  const int exponent = max(exponent_of(row_largest(from)) - 14, -126);
  const float factor = power_of_two(-exponent);
  const uint pairs = half_columns(columns) / 2u;
  for (uint i = gl_LocalInvocationID.x; i < pairs; i += gl_WorkGroupSize.x) {
    vec2 pair = vec2(0);
    if (2u * i < columns) pair.x = from.at[2u * i] * factor;
    if (2u * i + 1u < columns) pair.y = from.at[2u * i + 1u] * factor;
    to.at[i] = f16_bits(pair.x) | (f16_bits(pair.y) << 16);
  }
  if (gl_LocalInvocationID.x == 0u) to.at[pairs] = uint(exponent);
}
