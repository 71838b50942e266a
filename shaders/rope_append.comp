#version 460
#extension GL_GOOGLE_include_directive : require
#include "include/address.glsl"
#include "include/grid.glsl"
#include "include/step.glsl"
#include "include/turn.glsl"
#include "include/cache.glsl"
layout(local_size_x_id = 0) in;
#include "include/group_sum.glsl"

// Norm, rotation and append of a token's heads: the ops rope (queries only), kv_append (neither
// norm nor rotation) and rope_append. A work group has some of a token's heads: those of q, then
// those of k, then those of v. All share the token's turns.

layout(constant_id = 1) const uint HEAD_DIM = 128u;
layout(constant_id = 2) const uint ROT_DIM = 128u;
layout(constant_id = 3) const uint INTERLEAVED = 0u;
layout(constant_id = 4) const uint GROUP_HEADS = 1u;
layout(constant_id = 5) const uint K_DTYPE = 1u;
layout(constant_id = 6) const uint V_DTYPE = 1u;
layout(constant_id = 7) const uint Q_NORM = 0u;
layout(constant_id = 8) const uint K_NORM = 0u;

layout(push_constant, std430) uniform Push {
  uvec2 q;
  uvec2 k;
  uvec2 v;
  uvec2 q_norm;
  uvec2 k_norm;
  uvec2 inv_freq;
  uvec2 step;
  uvec2 k_pages;
  uvec2 v_pages;
  uvec2 o;
  uint tokens;
  uint q_stride;  // bytes, like all strides
  uint k_stride;
  uint v_stride;
  uint o_stride;
  uint k_row;  // of the caches
  uint v_row;
  uint heads;  // of queries; those of keys in the upper half
  uint page_tokens;
  float eps;
  float magnitude;
};

uint query_heads() { return heads & 0xffffu; }
uint kv_heads() { return heads >> 16; }

shared float head[HEAD_DIM];
shared vec2 turns[ROT_DIM / 2u + 1u];

#include "include/cache_store.glsl"

void make_turns(int position) {
  for (uint i = gl_LocalInvocationID.x; i < ROT_DIM / 2u; i += gl_WorkGroupSize.x) {
    precise float angle = float(position) * Floats(inv_freq).at[i];
    precise vec2 turn = turn_of(angle) * magnitude;
    turns[i] = turn;
  }
  barrier();
}

void load_head(uvec2 row, uint h) {
  for (uint c = gl_LocalInvocationID.x; c < HEAD_DIM; c += gl_WorkGroupSize.x)
    head[c] = Floats(row).at[h * HEAD_DIM + c];
}

// Of what this invocation loaded: the op rms_norm's additions in its order.
void norm_head(uvec2 w) {
  precise float squares = 0.0;
  for (uint c = gl_LocalInvocationID.x; c < HEAD_DIM; c += gl_WorkGroupSize.x)
    squares = squares + head[c] * head[c];
  const float scale = inverse_rms(squares, HEAD_DIM, eps);
  for (uint c = gl_LocalInvocationID.x; c < HEAD_DIM; c += gl_WorkGroupSize.x) {
    precise float y = head[c] * scale * Floats(w).at[c];
    head[c] = y;
  }
}

void turn_head() {
  barrier();
  for (uint i = gl_LocalInvocationID.x; i < ROT_DIM / 2u; i += gl_WorkGroupSize.x) {
    const uint first = INTERLEAVED != 0u ? 2u * i : i;
    const uint second = INTERLEAVED != 0u ? 2u * i + 1u : i + ROT_DIM / 2u;
    const float a = head[first];
    const float b = head[second];
    precise float x = a * turns[i].x - b * turns[i].y;
    precise float y = b * turns[i].x + a * turns[i].y;
    head[first] = x;
    head[second] = y;
  }
  barrier();
}

uint cache_row(uint token, int position, uint h) {
  const int page = pages_of(step, sequence_of(step, token)).at[uint(position) / page_tokens];
  return (uint(page) * kv_heads() + h) * page_tokens + uint(position) % page_tokens;
}

void do_query(uint token, uint h, bool live) {
  Floats to = Floats(address_at(o, token, o_stride));
  if (live) {
    load_head(address_at(q, token, q_stride), h);
    if (Q_NORM != 0u) norm_head(q_norm);
    turn_head();
  }
  for (uint c = gl_LocalInvocationID.x; c < HEAD_DIM; c += gl_WorkGroupSize.x)
    to.at[h * HEAD_DIM + c] = live ? head[c] : 0.0;
}

void do_key(uint token, uint h, int position) {
  load_head(address_at(k, token, k_stride), h);
  if (K_NORM != 0u) norm_head(k_norm);
  turn_head();
  store_cache(K_DTYPE, address_at(k_pages, cache_row(token, position, h), k_row));
}

void do_value(uint token, uint h, int position) {
  load_head(address_at(v, token, v_stride), h);
  barrier();
  store_cache(V_DTYPE, address_at(v_pages, cache_row(token, position, h), v_row));
}

void main() {
  const uint items = query_heads() + 2u * kv_heads();
  const uint token_groups = (items + GROUP_HEADS - 1u) / GROUP_HEADS;
  const uint group = group_index();
  const uint token = group / token_groups;
  if (token >= tokens) return;
  const bool live = is_live(step, token);
  const int position = live ? position_of(step, token) : -1;
  const uint first = (group % token_groups) * GROUP_HEADS;
  if (live && ROT_DIM > 0u && first < query_heads() + kv_heads()) make_turns(position);
  for (uint item = first; item < min(first + GROUP_HEADS, items); ++item) {
    // A token without a position has no place in the cache.
    if (item < query_heads())
      do_query(token, item, live);
    else if (position >= 0 && item < query_heads() + kv_heads())
      do_key(token, item - query_heads(), position);
    else if (position >= 0)
      do_value(token, item - query_heads() - kv_heads(), position);
    barrier();
  }
}
