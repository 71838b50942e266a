#version 460
#extension GL_GOOGLE_include_directive : require
#include "include/address.glsl"
#include "include/grid.glsl"
layout(local_size_x_id = 0) in;
#include "include/activation.glsl"
#include "include/silu.glsl"

// out = silu(gate) * up. A work group does 4 columns per invocation of one row.

layout(push_constant, std430) uniform Push {
  uvec2 gate;
  uvec2 up;
  uvec2 o;
  uint rows;
  uint columns;
  uint gate_stride;  // bytes
  uint up_stride;
  uint o_stride;
  uint row_groups;  // work groups of one row
};

void main() {
  const uint group = group_index();
  const uint row = group / row_groups;
  if (row >= rows) return;
  const uint first = (group % row_groups) * 4u * gl_WorkGroupSize.x;
  const uint i = gl_LocalInvocationID.x;
  Floats g = Floats(address_at(gate, row, gate_stride));
  Floats u = Floats(address_at(up, row, up_stride));
  const uvec2 to = address_at(o, row, o_stride);
  // f32: neighbours read neighbours; else an invocation has 4 columns in a row.
  const uint begin = LAYOUT == kRows ? first + i : first + 4u * i;
  const uint step = LAYOUT == kRows ? gl_WorkGroupSize.x : 1u;
  vec4 v = vec4(0);
  for (uint j = 0u; j < 4u; ++j) {
    const uint c = begin + j * step;
    if (c < columns) {
      v[j] = silu_times(g.at[c], u.at[c]);
      if (LAYOUT == kRows) Floats(to).at[c] = v[j];
    }
  }
  if (LAYOUT != kRows) store_columns(to, columns, begin, v);
}
