#version 460
#extension GL_GOOGLE_include_directive : require
#include "include/address.glsl"
#include "include/grid.glsl"
#include "include/step.glsl"
layout(local_size_x_id = 0) in;

// The rows whose logits are wanted; zeros beyond their number.

layout(push_constant, std430) uniform Push {
  uvec2 x;
  uvec2 step;
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
  const uint column = (group % row_groups) * gl_WorkGroupSize.x + gl_LocalInvocationID.x;
  if (row >= rows || column >= columns) return;
  Words to = Words(address_at(o, row, o_stride));
  if (int(row) >= Step(step).row_count) {
    to.at[column] = 0u;
    return;
  }
  const int from = step_ints(step, Step(step).rows_offset).at[row];
  to.at[column] = Words(address_at(x, uint(from), x_stride)).at[column];
}
