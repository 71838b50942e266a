#version 460
#extension GL_GOOGLE_include_directive : require
#include "include/address.glsl"
#include "include/grid.glsl"

// out = a + b. One invocation an element; y folds the columns' groups of all rows.
layout(local_size_x_id = 0) in;

layout(push_constant, std430) uniform Push {
  uvec2 a;
  uvec2 b;
  uvec2 o;
  uint rows;
  uint columns;
  uint a_stride;  // bytes
  uint b_stride;
  uint o_stride;
  uint row_groups;  // work groups of one row
};

void main() {
  const uint group = group_index();
  const uint row = group / row_groups;
  const uint column = (group % row_groups) * gl_WorkGroupSize.x + gl_LocalInvocationID.x;
  if (row >= rows || column >= columns) return;
  Floats x = Floats(address_at(a, row, a_stride));
  Floats y = Floats(address_at(b, row, b_stride));
  Floats(address_at(o, row, o_stride)).at[column] = x.at[column] + y.at[column];
}
