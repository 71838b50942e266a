#version 460
#extension GL_GOOGLE_include_directive : require
#include "include/address.glsl"
#include "include/grid.glsl"
layout(local_size_x_id = 0) in;
#include "include/activation.glsl"
#include "include/group_sum.glsl"

// out = x / sqrt(mean(x^2) + eps) * w over each group of n columns: one work group for each.

layout(push_constant, std430) uniform Push {
  uvec2 x;
  uvec2 w;
  uvec2 o;
  uint rows;
  uint row_groups;  // groups of n columns
  uint n;
  uint x_stride;  // bytes
  uint o_stride;
  float eps;
};

// Column c of the group, normed; zero beyond it.
float normed(Floats values, uint first, uint c, float scale) {
  if (c >= n) return 0.0;
  precise float y = values.at[first + c] * scale * Floats(w).at[c];
  return y;
}

void main() {
  const uint group = group_index();
  const uint row = group / row_groups;
  if (row >= rows) return;
  const uint first = (group % row_groups) * n;
  const uint i = gl_LocalInvocationID.x;
  Floats values = Floats(address_at(x, row, x_stride));
  precise float squares = 0.0;
  for (uint c = i; c < n; c += gl_WorkGroupSize.x) {
    const float v = values.at[first + c];
    squares = squares + v * v;
  }
  const float scale = inverse_rms(squares, n, eps);
  const uvec2 to = address_at(o, row, o_stride);
  if (LAYOUT == kRows) {
    for (uint c = i; c < n; c += gl_WorkGroupSize.x)
      Floats(to).at[first + c] = normed(values, first, c, scale);
    return;
  }
  const uint columns = row_groups * n;
  for (uint base = 0u; base < n; base += 4u * gl_WorkGroupSize.x) {
    const uint c = base + 4u * i;
    vec4 v;
    for (uint j = 0u; j < 4u; ++j) v[j] = normed(values, first, c + j, scale);
    store_columns(to, c < n ? columns : 0u, first + c, v);
  }
}
