#version 460
#extension GL_GOOGLE_include_directive : require
#include "include/address.glsl"
#include "include/grid.glsl"
#include "include/twofold.glsl"
layout(local_size_x_id = 0) in;

// The experts of one token per work group. An expert's place is the number of those that come
// before it (larger logit, then lower id): no two have the same, whatever the logits are.

layout(constant_id = 1) const uint EXPERTS = 8u;
layout(constant_id = 2) const uint USED = 2u;
layout(constant_id = 3) const uint RENORMALISE = 1u;

layout(push_constant, std430) uniform Push {
  uvec2 logits;
  uvec2 ids;
  uvec2 weights;
  uint rows;
  uint logits_stride;  // bytes
  uint ids_stride;
  uint weights_stride;
};

const uint kInfinity = 0x7f800000u;
const uint kMinusInfinity = 0xff800000u;

shared uint keys[EXPERTS];    // logits as whole numbers of the same order
shared uint places[EXPERTS];
shared vec2 shares[EXPERTS];  // e to the power of logit - largest
shared float largest_logit;
shared vec2 totals[gl_WorkGroupSize.x];

// e^(a - b) for a <= b, to about 40 bits: the difference is kept whole, and a weight is rounded
// once. Taylor series up to r^11 / 11!, of which what is behind r^3 may be rounded.
vec2 share_of(float a, float b) {
  if (a == b) return vec2(1.0, 0.0);
  const vec2 x = exact_sum(a, -b);
  if (!(x.x > -104.0)) return vec2(0.0);
  const float n = roundEven(x.x * 1.44269504);
  // ln 2 in parts of 15 bits and twofold: the products with n are exact, or nearly so.
  precise float taken = x.x - n * 0.693145752;
  const vec2 rest = twofold_product(vec2(n, 0.0), vec2(1.42860677e-06, 5.49792302e-14));
  const vec2 r = twofold_sum(exact_sum(taken, x.y), -rest);
  precise float tail = 1.0 / 3628800.0 + r.x * (1.0 / 39916800.0);
  tail = 1.0 / 362880.0 + r.x * tail;
  tail = 1.0 / 40320.0 + r.x * tail;
  tail = 1.0 / 5040.0 + r.x * tail;
  tail = 1.0 / 720.0 + r.x * tail;
  tail = 1.0 / 120.0 + r.x * tail;
  tail = 1.0 / 24.0 + r.x * tail;
  vec2 p = twofold_sum(vec2(0.166666672, -4.96705388e-9), vec2(r.x * tail, 0.0));
  p = twofold_sum(vec2(0.5, 0.0), twofold_product(p, r));
  p = twofold_sum(vec2(1.0, 0.0), twofold_product(p, r));
  p = twofold_sum(vec2(1.0, 0.0), twofold_product(p, r));
  const int exponent = int(n);
  const int part = exponent >> 1;
  return p * intBitsToFloat((part + 127) << 23) * intBitsToFloat((exponent - part + 127) << 23);
}

uint key_of(uint bits) { return (bits & 0x80000000u) != 0u ? ~bits : bits | 0x80000000u; }
uint logit_bits(uint key) { return (key & 0x80000000u) != 0u ? key & 0x7fffffffu : ~key; }

void load_keys(uint row) {
  for (uint e = gl_LocalInvocationID.x; e < EXPERTS; e += gl_WorkGroupSize.x) {
    uint bits = Words(address_at(logits, row, logits_stride)).at[e];
    if ((bits & 0x7fffffffu) > kInfinity) bits = kMinusInfinity;  // NaN
    if (bits == 0x80000000u) bits = 0u;                           // -0 = 0
    keys[e] = key_of(bits);
  }
  barrier();
}

uint place_of(uint e) {
  const uint key = keys[e];
  uint place = 0u;
  for (uint j = 0u; j < EXPERTS; ++j)
    place += uint(keys[j] > key || (keys[j] == key && j < e));
  return place;
}

// The sum of all counted shares, in an order that only the work group's size decides.
vec2 total_of(vec2 part) {
  const uint i = gl_LocalInvocationID.x;
  totals[i] = part;
  barrier();
  for (uint half_of = gl_WorkGroupSize.x / 2u; half_of > 0u; half_of /= 2u) {
    if (i < half_of) totals[i] = twofold_sum(totals[i], totals[i + half_of]);
    barrier();
  }
  return totals[0];
}

float weight_of(vec2 share, vec2 total) {
  precise float q = share.x / total.x;
  const vec2 back = exact_product(q, total.x);
  precise float rest = ((share.x - back.x) - back.y + share.y - q * total.y) / total.x;
  precise float weight = q + rest;
  return weight;
}

// Which experts are used, and the largest logit.
void find_places(Ints to) {
  for (uint e = gl_LocalInvocationID.x; e < EXPERTS; e += gl_WorkGroupSize.x) {
    const uint place = place_of(e);
    if (place == 0u) largest_logit = uintBitsToFloat(logit_bits(keys[e]));
    if (place < USED) to.at[place] = int(e);
    places[e] = place;
  }
  barrier();
}

vec2 share_at(uint e) {
  const uint bits = logit_bits(keys[e]);
  const uint largest = floatBitsToUint(largest_logit);
  if (bits == largest) return vec2(1.0, 0.0);
  if (bits == kMinusInfinity || largest == kInfinity) return vec2(0.0);
  return share_of(uintBitsToFloat(bits), largest_logit);
}

void main() {
  const uint row = group_index();
  if (row >= rows) return;
  load_keys(row);
  find_places(Ints(address_at(ids, row, ids_stride)));
  vec2 part = vec2(0.0);
  for (uint e = gl_LocalInvocationID.x; e < EXPERTS; e += gl_WorkGroupSize.x) {
    shares[e] = share_at(e);
    if (RENORMALISE == 0u || places[e] < USED) part = twofold_sum(part, shares[e]);
  }
  const vec2 total = total_of(part);
  Floats to = Floats(address_at(weights, row, weights_stride));
  for (uint e = gl_LocalInvocationID.x; e < EXPERTS; e += gl_WorkGroupSize.x)
    if (places[e] < USED) to.at[places[e]] = weight_of(shares[e], total);
}
