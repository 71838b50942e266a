#version 460
#extension GL_GOOGLE_include_directive : require
#include "include/address.glsl"
#include "include/grid.glsl"
layout(local_size_x_id = 0) in;

// Routes grouped by expert. A work group has one expert: it counts the routes of lower experts,
// which is where its own begin, and deals its own out in order.

layout(push_constant, std430) uniform Push {
  uvec2 ids;
  uvec2 offsets;
  uvec2 order;
  uint rows;
  uint used;
  uint experts;
  uint ids_stride;  // bytes
  uint order_stride;
};

shared uvec2 counts[gl_WorkGroupSize.x];  // (routes of lower experts, of this one)

int expert_of(uint route) {
  return Ints(address_at(ids, route / used, ids_stride)).at[route % used];
}

// The counts of all invocations up to this one.
uvec2 counts_up_to(uvec2 own) {
  const uint i = gl_LocalInvocationID.x;
  counts[i] = own;
  barrier();
  for (uint reach = 1u; reach < gl_WorkGroupSize.x; reach *= 2u) {
    const uvec2 before = i >= reach ? counts[i - reach] : uvec2(0);
    barrier();
    counts[i] += before;
    barrier();
  }
  return counts[i];
}

void main() {
  const uint expert = group_index();
  if (expert >= experts) return;
  const uint i = gl_LocalInvocationID.x;
  const uint routes = rows * used;
  // Each invocation has a run of neighbouring routes, so that the order is kept.
  const uint run = (routes + gl_WorkGroupSize.x - 1u) / gl_WorkGroupSize.x;
  const uint begin = min(i * run, routes);
  const uint end = min(begin + run, routes);
  uvec2 own = uvec2(0);
  for (uint r = begin; r < end; ++r) {
    const int e = expert_of(r);
    own += uvec2(e < int(expert), e == int(expert));
  }
  const uvec2 up_to = counts_up_to(own);
  const uvec2 all = counts[gl_WorkGroupSize.x - 1u];
  Ints begins = Ints(offsets);
  if (i == 0u) begins.at[expert] = int(all.x);
  if (i == 0u && expert + 1u == experts) begins.at[experts] = int(routes);
  uint next = all.x + up_to.y - own.y;
  for (uint r = begin; r < end; ++r) {
    if (expert_of(r) != int(expert)) continue;
    Ints(address_at(order, next, order_stride)).at[0] = int(r);
    ++next;
  }
}
