#version 460
#extension GL_GOOGLE_include_directive : require
#include "include/address.glsl"
#include "include/grid.glsl"
layout(local_size_x_id = 0) in;
#include "include/activation.glsl"

// Rows of f32 in the layout that a matmul wants. A work group does 4 columns per invocation.

layout(push_constant, std430) uniform Push {
  uvec2 x;
  uvec2 o;
  uint rows;
  uint columns;
  uint x_stride;  // bytes
  uint o_stride;
  uint row_groups;  // work groups of one row
};

void main() {
  const uint group = group_index();
  const uint row = group / row_groups;
  if (row >= rows) return;
  const uint column = ((group % row_groups) * gl_WorkGroupSize.x + gl_LocalInvocationID.x) * 4u;
  Floats values = Floats(address_at(x, row, x_stride));
  vec4 v = vec4(0);
  for (uint j = 0u; j < 4u; ++j)
    if (column + j < columns) v[j] = values.at[column + j];
  store_columns(address_at(o, row, o_stride), columns, column, v);
}
