// For gemv.glsl: a gated pair whose result is written int8. 32 of its columns are made by several
// work groups. Each writes its own as f32 to o[0], which lies in the workspace, and then adds to a
// counter of o[2]; the one that comes last makes all of them int8 in o[1]. No sum is made by the
// counters. They are zero before and after every dispatch; a counter of no other stream is used.
// Barriers and atomics name the device as their scope: what the others wrote before they counted is
// seen by the one that counts last.
#extension GL_KHR_memory_scope_semantics : require
#include "include/quantized.glsl"

layout(constant_id = 9) const uint QUANTIZED = 0u;

layout(buffer_reference, std430, buffer_reference_align = 4) coherent buffer SharedFloats {
  float at[];
};
layout(buffer_reference, std430, buffer_reference_align = 4) coherent buffer Tickets { uint at[]; };

shared bool is_last;

void device_barrier() {
  controlBarrier(gl_ScopeWorkgroup, gl_ScopeDevice,
                 gl_StorageSemanticsBuffer | gl_StorageSemanticsShared, gl_SemanticsAcquireRelease);
}

bool last_of_groups(uint ticket, uint count) {
  device_barrier();
  if (gl_LocalInvocationID.x == 0u) {
    const uint before = atomicAdd(Tickets(o[2]).at[ticket], 1u, gl_ScopeDevice,
                                  gl_StorageSemanticsBuffer, gl_SemanticsAcquireRelease);
    is_last = before == count - 1u;
    if (is_last) Tickets(o[2]).at[ticket] = 0u;  // for the next dispatch
  }
  device_barrier();
  return is_last;
}

void store_shared(Task task, uint row, uint t, float value) {
  SharedFloats(address_at(o[0], task.out_row + t, o_stride[0])).at[row] = value;
}

void quantize_when_last(Task task) {
  const uint block = task.row >> 5;
  if (!last_of_groups(gl_WorkGroupID.z * (n[0] >> 5) + block, 32u / kOutRows)) return;
  const uint tokens = min(task.tokens, TOKENS);
  const uint column = 32u * block + 4u * (gl_LocalInvocationID.x % 8u);
  for (uint first = 0u; first < TOKENS; first += gl_WorkGroupSize.x / 8u) {
    const uint t = first + gl_LocalInvocationID.x / 8u;
    const uint row = task.out_row + min(t, tokens - 1u);
    SharedFloats values = SharedFloats(address_at(o[0], row, o_stride[0]));
    const vec4 v = vec4(values.at[column], values.at[column + 1u], values.at[column + 2u],
                        values.at[column + 3u]);
    store_quantized(address_at(o[1], row, o_stride[1]), t < tokens ? n[0] : 0u, column, v);
  }
}
