#version 460
#extension GL_GOOGLE_include_directive : require
#include "include/address.glsl"

// Reads `count` pieces of 16 bytes once, all invocations side by side. Only what adds up to a value
// that random data does not have is written.
layout(local_size_x_id = 0) in;

layout(push_constant, std430) uniform Push {
  uvec2 from;
  uvec2 to;
  uint count;
};

void main() {
  const uint step = gl_NumWorkGroups.x * gl_WorkGroupSize.x;
  Words4 pieces = Words4(from);
  uvec4 sum = uvec4(0);
  for (uint i = gl_GlobalInvocationID.x; i < count; i += step) sum ^= pieces.at[i];
  const uint all = sum.x ^ sum.y ^ sum.z ^ sum.w;
  if (all == 0x5ee6d0ffu) Words(to).at[0] = all;
}
