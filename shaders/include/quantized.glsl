// Rows of Layout::quantized (backends/cpu/kernels/panels.h), 4 columns per invocation.
// Needs include/address.glsl; a multiple of 8 invocations.
#include "include/rounding.glsl"
#include "include/twofold.glsl"

// Blocks whose largest value is below 2^-120 count as zero: 127 / amax stays finite.
const uint kTinyBits = 0x03800000u;
const uint kInfinityBits = 0x7f800000u;

shared uint block_largest[gl_WorkGroupSize.x];
shared int block_sums[gl_WorkGroupSize.x];

uint magnitude_bits(float x) { return floatBitsToUint(x) & 0x7fffffffu; }

// Eight invocations have one block of 32 columns. Scale amax / 127, values to nearest even; a block
// with an infinity or NaN gets a NaN scale, so that what is computed from it is NaN.
void store_quantized(uvec2 row, uint columns, uint column, vec4 v) {
  const uint i = gl_LocalInvocationID.x;
  const uint first = i & ~7u;
  block_largest[i] = max(max(magnitude_bits(v.x), magnitude_bits(v.y)),
                         max(magnitude_bits(v.z), magnitude_bits(v.w)));
  barrier();
  uint largest = block_largest[first];
  for (uint j = 1u; j < 8u; ++j) largest = max(largest, block_largest[first + j]);
  const bool usable = largest < kInfinityBits && largest >= kTinyBits;
  ivec4 q = ivec4(0);
  if (usable) {
    precise vec4 steps = v * divided_by(127.0, uintBitsToFloat(largest));
    q = ivec4(roundEven(steps));
  }
  block_sums[i] = q.x + q.y + q.z + q.w;
  barrier();
  if (column >= columns) return;
  const uvec4 bytes = uvec4(q) & 0xffu;
  Words words = Words(row);
  words.at[column >> 2] = bytes.x | (bytes.y << 8) | (bytes.z << 16) | (bytes.w << 24);
  if (i != first) return;
  int half_sums[2];
  for (uint h = 0u; h < 2u; ++h)
    half_sums[h] = -128 * (block_sums[i + 4u * h] + block_sums[i + 4u * h + 1u] +
                           block_sums[i + 4u * h + 2u] + block_sums[i + 4u * h + 3u]);
  const uint blocks = columns >> 5;
  const uint block = column >> 5;
  uint scale = 0u;
  if (usable)
    scale = floatBitsToUint(divided(uintBitsToFloat(largest), 127.0));
  else if (largest >= kInfinityBits)
    scale = 0x7fc00000u;
  const uint scales = columns >> 2;
  words.at[scales + block] = scale;
  words.at[scales + blocks + block] = uint(half_sums[0] + half_sums[1]);
  words.at[scales + 2u * blocks + 2u * block] = uint(half_sums[0]);
  words.at[scales + 2u * blocks + 2u * block + 1u] = uint(half_sums[1]);
}
