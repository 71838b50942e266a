#version 460
#extension GL_GOOGLE_include_directive : require
#include "include/address.glsl"

// The tiles of at most `tile_tokens` routes into which each expert's routes fall, as a list of
// (expert, first place in `order`, routes), for gemm_experts.comp. The rest of the list has no
// routes. One work group, so that experts and places rise along the list.
layout(local_size_x_id = 0) in;

layout(push_constant, std430) uniform Push {
  uvec2 offsets;  // (experts + 1)
  uvec2 tiles;    // (bound, 3)
  uint experts;
  uint bound;
  uint tile_tokens;
};

shared uint ends[gl_WorkGroupSize.x];  // of the tiles of experts up to each one

void write_tile(uint at, uvec3 tile) {
  Words entry = Words(address_at(tiles, at, 12u));
  if (at >= bound) return;
  entry.at[0] = tile.x;
  entry.at[1] = tile.y;
  entry.at[2] = tile.z;
}

void main() {
  const uint lane = gl_LocalInvocationID.x;
  uint listed = 0u;  // tiles of all experts before these
  for (uint first = 0u; first < experts; first += gl_WorkGroupSize.x) {
    const uint expert = first + lane;
    uint begin = 0u;
    uint end = 0u;
    if (expert < experts) {
      begin = uint(Ints(offsets).at[expert]);
      end = uint(Ints(offsets).at[expert + 1u]);
    }
    const uint count = (end - begin + tile_tokens - 1u) / tile_tokens;
    ends[lane] = count;
    for (uint step = 1u; step < gl_WorkGroupSize.x; step *= 2u) {
      barrier();
      const uint before = lane >= step ? ends[lane - step] : 0u;
      barrier();
      ends[lane] += before;
    }
    barrier();
    for (uint i = 0u; i < count; ++i) {
      const uint place = begin + i * tile_tokens;
      write_tile(listed + ends[lane] - count + i,
                 uvec3(expert, place, min(tile_tokens, end - place)));
    }
    listed += ends[gl_WorkGroupSize.x - 1u];
    barrier();
  }
  for (uint at = listed + lane; at < bound; at += gl_WorkGroupSize.x) write_tile(at, uvec3(0));
}
