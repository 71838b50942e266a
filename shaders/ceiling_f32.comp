#version 460
#extension GL_GOOGLE_include_directive : require
#include "include/address.glsl"

// `rounds` times 8 chains of 4 fused multiply-adds: 64 operations a round.
layout(local_size_x_id = 0) in;

layout(push_constant, std430) uniform Push {
  uvec2 to;
  uint rounds;
};

void main() {
  vec4 chains[8];
  const vec4 start = vec4(gl_LocalInvocationID.x) * 1e-3;
  [[unroll]] for (int i = 0; i < 8; ++i) chains[i] = start + float(i);
  const vec4 factor = vec4(0.999) - start * 1e-6;
  for (uint round = 0; round < rounds; ++round)
    [[unroll]] for (int i = 0; i < 8; ++i) chains[i] = fma(chains[i], factor, start);
  vec4 sum = vec4(0);
  [[unroll]] for (int i = 0; i < 8; ++i) sum += chains[i];
  const float all = sum.x + sum.y + sum.z + sum.w;
  if (all == -1.5) Floats(to).at[0] = all;
}
