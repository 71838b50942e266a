#version 460
#extension GL_GOOGLE_include_directive : require
#include "include/address.glsl"
#include "include/grid.glsl"
layout(local_size_x_id = 0) in;

// out row t = sum over c, ascending, of weights[t, c] * y row (t * used + c).

layout(push_constant, std430) uniform Push {
  uvec2 y;
  uvec2 weights;
  uvec2 o;
  uint rows;
  uint columns;
  uint used;
  uint y_stride;  // bytes
  uint weights_stride;
  uint o_stride;
  uint row_groups;  // work groups of one row
};

void main() {
  const uint group = group_index();
  const uint row = group / row_groups;
  const uint column = (group % row_groups) * gl_WorkGroupSize.x + gl_LocalInvocationID.x;
  if (row >= rows || column >= columns) return;
  Floats w = Floats(address_at(weights, row, weights_stride));
  float sum = 0.0;
  for (uint c = 0u; c < used; ++c)
    sum += w.at[c] * Floats(address_at(y, row * used + c, y_stride)).at[column];
  Floats(address_at(o, row, o_stride)).at[column] = sum;
}
