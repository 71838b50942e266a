#version 460
#extension GL_GOOGLE_include_directive : require
#include "include/address.glsl"
#include "include/grid.glsl"
layout(local_size_x_id = 0) in;
#include "include/activation.glsl"

// Adds up the parts of a split attention, in order: one head of one token per work group. Written
// quantized, the head has blocks of its own.

layout(constant_id = 2) const uint HEAD_DIM = 128u;
layout(constant_id = 3) const uint HEADS = 1u;
layout(constant_id = 4) const uint SPLITS = 32u;

layout(push_constant, std430) uniform Push {
  uvec2 parts;   // (tokens, HEADS, SPLITS, HEAD_DIM)
  uvec2 states;  // (tokens, HEADS, SPLITS): (largest, sum)
  uvec2 o;
  uint tokens;
  uint o_stride;  // bytes
};

shared float shares[SPLITS];
shared float sums[SPLITS];

// Column c of the head.
float combined(uint row, uint c, float total) {
  float value = 0.0;
  for (uint s = 0u; s < SPLITS; ++s)
    if (shares[s] != 0.0)
      value += shares[s] * Floats(address_at(parts, row * SPLITS + s, HEAD_DIM * 4u)).at[c];
  return total == 0.0 ? 0.0 : value / total;
}

void main() {
  const uint i = gl_LocalInvocationID.x;
  const uint row = group_index();
  if (row >= tokens * HEADS) return;
  Floats state = Floats(address_at(states, row * SPLITS, 8u));
  float largest = state.at[0];
  for (uint s = 1u; s < SPLITS; ++s) largest = max(largest, state.at[2u * s]);
  for (uint s = i; s < SPLITS; s += gl_WorkGroupSize.x) {
    const float sum = state.at[2u * s + 1u];
    // A part that saw nothing has no share.
    shares[s] = sum == 0.0 ? 0.0 : exp2(max(state.at[2u * s] - largest, -126.0));
    sums[s] = sum;
  }
  barrier();
  float total = 0.0;
  for (uint s = 0u; s < SPLITS; ++s) total += shares[s] * sums[s];
  const uvec2 to = address_at(o, row / HEADS, o_stride);
  const uint first = row % HEADS * HEAD_DIM;
  if (LAYOUT == kRows) {
    for (uint c = i; c < HEAD_DIM; c += gl_WorkGroupSize.x)
      Floats(to).at[first + c] = combined(row, c, total);
    return;
  }
  for (uint base = 0u; base < HEAD_DIM; base += 4u * gl_WorkGroupSize.x) {
    const uint c = base + 4u * i;
    vec4 v = vec4(0);
    if (c < HEAD_DIM)
      for (uint j = 0u; j < 4u; ++j) v[j] = combined(row, c + j, total);
    store_columns(to, c < HEAD_DIM ? HEADS * HEAD_DIM : 0u, first + c, v);
  }
}
