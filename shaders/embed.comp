#version 460
#extension GL_GOOGLE_include_directive : require
#include "include/address.glsl"
#include "include/grid.glsl"
#include "include/step.glsl"
#include "include/weights.glsl"
layout(local_size_x_id = 0) in;

// Rows of the tokens' embeddings, dequantized. One invocation a unit of a row (weights.glsl); tokens
// that are not there are zeros.

layout(push_constant, std430) uniform Push {
  uvec2 table;
  uvec2 step;
  uvec2 o;
  uint tokens;
  uint columns;
  uint table_stride;  // bytes
  uint o_stride;
  uint row_groups;  // work groups of one row
};

void main() {
  const uint group = group_index();
  const uint t = group / row_groups;
  const uint u = (group % row_groups) * gl_WorkGroupSize.x + gl_LocalInvocationID.x;
  if (t >= tokens || u * kUnitColumns >= columns) return;
  Floats to = Floats(address_at(o, t, o_stride));
  const bool live = is_live(step, t);
  Unit unit;
  if (live) unit = load_unit(weight_row(table, uint(token_of(step, t)), columns, table_stride), u);
  for (uint p = 0u; p < kUnitPieces; ++p) {
    const vec4 v = live ? unit_piece(unit, p) : vec4(0);
    const uint column = unit_column(u, p);
    for (uint i = 0u; i < 4u; ++i)
      if (column + i < columns) to.at[column + i] = v[i];
  }
}
