#version 460
#extension GL_GOOGLE_include_directive : require
#include "include/address.glsl"
#include "include/grid.glsl"
layout(local_size_x_id = 0) in;
#include "include/group_sum.glsl"

// The COUNT first of a row's logits (larger first, then lower id), in rounds: each work group leaves
// those of its chunk, as entries of two words (key and id), and the last round has one group a row.
// A key is a logit as a whole number of the same order; 0 is none.

layout(constant_id = 1) const uint COUNT = 1u;
layout(constant_id = 2) const uint ROUND = 0u;
const uint kOfLogits = 0u;  // source: logits; also writes summaries of the chunks
const uint kMerge = 1u;     // source: entries
const uint kFinish = 2u;    // source: entries; to: what the op makes

layout(push_constant, std430) uniform Push {
  uvec2 source;
  uvec2 to;
  uvec2 summaries;  // (rows, chunks) of 4 words: the largest key, the sum of the weights, how many
                    // logits are unusable
  uint rows;
  uint items;   // logits or entries of a row
  uint chunks;  // of logits
  uint source_stride;  // bytes
  uint to_stride;      // of the op's rows
};

const uint kEach = 16u;  // items of an invocation, which follow each other
const uint kMinusInfinity = 0x007fffffu;  // keys
const uint kPlusInfinity = 0xff800000u;

shared uint found[33];  // by bit; and the largest key
shared uint unusable_sum;
shared uint before[gl_WorkGroupSize.x];
shared uint chosen_keys[COUNT];
shared uint chosen_items[COUNT];

uint keys[kEach];

uint key_of(uint bits) {
  if ((bits & 0x7fffffffu) > 0x7f800000u) return kMinusInfinity;  // NaN
  if (bits == 0x80000000u) bits = 0u;                             // -0 = 0
  return (bits & 0x80000000u) != 0u ? ~bits : bits | 0x80000000u;
}
uint bits_of(uint key) {
  if (key == 0u) return 0xff800000u;
  return (key & 0x80000000u) != 0u ? key & 0x7fffffffu : ~key;
}

// exp(logit - largest); equal infinities count as equal numbers, -inf does not count.
float weight_of(uint key, uint largest) {
  if (key <= kMinusInfinity) return 0.0;
  if (key == largest) return 1.0;
  if (largest == kPlusInfinity) return 0.0;
  return exp(uintBitsToFloat(bits_of(key)) - uintBitsToFloat(bits_of(largest)));
}

uint count_from(uint least) {
  uint n = 0u;
  [[unroll]] for (uint i = 0u; i < kEach; ++i) n += uint(keys[i] >= least);
  return n;
}

// The largest number that COUNT keys of the group or more are not below; less precise where that
// many are found before the last bit. found[] is 0.
uint threshold() {
  uint least = 0u;
  for (int bit = 31; bit >= 0; --bit) {
    const uint asked = least | (1u << bit);
    const uint mine = count_from(asked);
    if (mine > 0u) atomicAdd(found[bit], mine);
    barrier();
    const uint all = found[bit];
    if (all >= COUNT) least = asked;
    if (all == COUNT) break;
  }
  return least;
}

// Puts the chosen items of the group into chosen_*, those of one key in ascending order.
void choose() {
  const uint least = threshold();
  const uint i = gl_LocalInvocationID.x;
  const uint above = count_from(least + 1u);
  // Both counts in one number: a chunk has fewer than 2^16 items.
  before[i] = above | ((count_from(least) - above) << 16);
  barrier();
  uint total = 0u;
  uint mine = 0u;
  for (uint j = 0u; j < gl_WorkGroupSize.x; ++j) {
    if (j == i) mine = total;
    total += before[j];
  }
  uint at = mine & 0xffffu;
  uint tie = (total & 0xffffu) + (mine >> 16);
  [[unroll]] for (uint k = 0u; k < kEach; ++k) {
    uint place = COUNT;
    if (keys[k] > least) place = at++;
    if (keys[k] == least) place = tie++;
    if (place >= COUNT) continue;
    chosen_keys[place] = keys[k];
    chosen_items[place] = kEach * i + k;
  }
  barrier();
}

// How many of the chosen come before number i of them.
uint place_of(uint i) {
  const uint key = chosen_keys[i];
  uint place = 0u;
  for (uint j = 0u; j < COUNT; ++j)
    place += uint(chosen_keys[j] > key || (chosen_keys[j] == key && j < i));
  return place;
}

void load_logits(uvec2 row, uint first, uint left, uvec2 summary) {
  uint unusable = 0u;
  uint most = 0u;
  [[unroll]] for (uint k = 0u; k < kEach; ++k) {
    const uint item = kEach * gl_LocalInvocationID.x + k;
    keys[k] = 0u;
    if (item >= left) continue;
    const uint bits = Words(row).at[first + item];
    keys[k] = key_of(bits);
    most = max(most, keys[k]);
    // NaN of either sign, or +inf.
    unusable += uint((bits & 0x7fffffffu) > 0x7f800000u || bits == 0x7f800000u);
  }
  atomicMax(found[32], most);
  if (unusable > 0u) atomicAdd(unusable_sum, unusable);
  barrier();
  most = found[32];
  precise float weights = 0.0;
  [[unroll]] for (uint k = 0u; k < kEach; ++k) weights = weights + weight_of(keys[k], most);
  weights = group_sum(weights);
  if (gl_LocalInvocationID.x != 0u) return;
  Words to = Words(summary);
  to.at[0] = most;
  to.at[1] = floatBitsToUint(weights);
  to.at[2] = unusable_sum;
}

void load_entries(uvec2 row, uint first, uint left) {
  [[unroll]] for (uint k = 0u; k < kEach; ++k) {
    const uint item = kEach * gl_LocalInvocationID.x + k;
    keys[k] = item < left ? Words(row).at[2u * (first + item)] : 0u;
  }
}

// The weights of all chunks, relative to the row's largest logit.
void finish_row(uint row, Words words) {
  uint largest = 0u;
  for (uint i = 0u; i < COUNT; ++i) largest = max(largest, chosen_keys[i]);
  precise float weights = 0.0;
  uint unusable = 0u;
  for (uint c = gl_LocalInvocationID.x; c < chunks; c += gl_WorkGroupSize.x) {
    Words summary = Words(address_at(address_at(summaries, row, 16u * chunks), 16u * c));
    weights = weights + uintBitsToFloat(summary.at[1]) * weight_of(summary.at[0], largest);
    unusable += summary.at[2];
  }
  if (unusable > 0u) atomicAdd(unusable_sum, unusable);
  weights = group_sum(weights);
  if (gl_LocalInvocationID.x != 0u) return;
  words.at[2u * COUNT] = floatBitsToUint(weights);
  words.at[2u * COUNT + 1u] = unusable_sum;
}

void main() {
  const uint chunk_items = kEach * gl_WorkGroupSize.x;
  const uint row_groups = (items + chunk_items - 1u) / chunk_items;
  const uint group = group_index();
  const uint row = group / row_groups;
  if (row >= rows) return;
  const uint chunk = group % row_groups;
  const uint first = chunk * chunk_items;
  for (uint i = gl_LocalInvocationID.x; i < 33u; i += gl_WorkGroupSize.x) found[i] = 0u;
  if (gl_LocalInvocationID.x == 0u) unusable_sum = 0u;
  barrier();
  const uvec2 from = address_at(source, row, source_stride);
  if (ROUND == kOfLogits)
    load_logits(from, first, items - first, address_at(summaries, row * chunks + chunk, 16u));
  else
    load_entries(from, first, items - first);
  choose();
  const uvec2 list = address_at(to, row * row_groups + chunk, 8u * COUNT);
  Words words = Words(ROUND == kFinish ? address_at(to, row, to_stride) : list);
  for (uint i = gl_LocalInvocationID.x; i < COUNT; i += gl_WorkGroupSize.x) {
    const uint key = chosen_keys[i];
    const uint place = place_of(i);
    uint id = first + chosen_items[i];
    if (ROUND != kOfLogits && key != 0u) id = Words(from).at[2u * id + 1u];
    if (key == 0u) id = 0xffffffffu;
    words.at[ROUND == kFinish ? place : 2u * place] = ROUND == kFinish ? id : key;
    words.at[ROUND == kFinish ? COUNT + place : 2u * place + 1u] =
        ROUND == kFinish ? bits_of(key) : id;
  }
  if (ROUND == kFinish) finish_row(row, words);
}
