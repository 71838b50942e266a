#version 460
#extension GL_GOOGLE_include_directive : require
#include "include/address.glsl"
#include "include/grid.glsl"

// Rows of blocks -> Layout::planes16. One invocation a word of the result; a panel is
// `panel_groups` work groups, and padding rows are zeros. The rows may lie at any address.
layout(local_size_x_id = 0) in;

const uint kPanelRows = 16u;

layout(push_constant, std430) uniform Push {
  uvec2 w;
  uvec2 o;
  uint matrices;
  uint n;       // rows of a matrix
  uint stride;  // bytes from row to row of w
  uint blocks;  // of a row
  uint block_bytes;
  uint panel_groups;
  uint fields[4];  // of a block, in the order of the planes: offset | bytes << 16
};

// Byte `at` of row `row`.
uint byte_of_row(uvec2 row, uint at) {
  const uvec2 address = address_at(row, at);
  return (Words(uvec2(address.x & ~3u, address.y)).at[0] >> ((address.x & 3u) * 8u)) & 0xffu;
}

// 4 bytes; touches no word that holds none of them.
uint word_of_row(uvec2 row, uint at) {
  const uvec2 address = address_at(row, at);
  const uint shift = (address.x & 3u) * 8u;
  Words words = Words(uvec2(address.x & ~3u, address.y));
  if (shift == 0u) return words.at[0];
  return (words.at[0] >> shift) | (words.at[1] << (32u - shift));
}

void main() {
  const uint panels = (n + kPanelRows - 1u) / kPanelRows;
  const uint panel = group_index() / panel_groups;  // of all matrices
  const uint panel_bytes = kPanelRows * blocks * block_bytes;
  const uint at =
      ((group_index() % panel_groups) * gl_WorkGroupSize.x + gl_LocalInvocationID.x) * 4u;
  if (panel >= matrices * panels || at >= panel_bytes) return;
  uint plane = 0u;
  uint before = 0u;  // bytes of a block in the planes before
  while (at >= kPanelRows * blocks * (before + (fields[plane] >> 16)))
    before += fields[plane++] >> 16;
  const uint offset = fields[plane] & 0xffffu;
  const uint bytes = fields[plane] >> 16;
  const uint first_row = (panel % panels) * kPanelRows;
  uint result = 0u;
  for (uint i = 0u; i < 4u; ++i) {
    const uint inside = at - kPanelRows * blocks * before + i;
    const uint block = inside / bytes;
    const uint row = first_row + block / blocks;
    if (row >= n) break;
    const uvec2 source = address_at(w, panel / panels * n + row, stride);
    const uint from = (block % blocks) * block_bytes + offset + inside % bytes;
    if (bytes % 4u == 0u) {
      result = word_of_row(source, from);
      break;
    }
    result |= byte_of_row(source, from) << (8u * i);
  }
  Words(address_at(o, panel, panel_bytes)).at[at >> 2] = result;
}
