// A head in shared memory to its row of the KV cache. Needs include/address.glsl, include/cache.glsl
// and `head[HEAD_DIM]`; all invocations of the work group call it.
#include "include/rounding.glsl"

shared uint block_scales[HEAD_DIM / 32u + 1u];
shared float block_inverses[HEAD_DIM / 32u + 1u];

// ggml's Q8_0: scale amax / 127 stored as f16, values to nearest, ties away from zero. A NaN makes
// the scale NaN and so is seen by who reads the block; below 1e-30 the stored scale is zero.
void measure_block(uint block) {
  uint largest = 0u;
  for (uint c = 0u; c < 32u; ++c)
    largest = max(largest, floatBitsToUint(head[block * 32u + c]) & 0x7fffffffu);
  const float amax = uintBitsToFloat(largest);
  const bool usable = amax <= 3.4e38 && amax > 1e-30;
  float scale = amax <= 1e-30 ? 0.0 : amax;
  float inverse = 0.0;
  if (usable) {
    scale = divided(amax, 127.0);
    inverse = divided_by(1.0, scale);
  }
  block_scales[block] = f16_bits(scale);
  block_inverses[block] = inverse;
}

// Two bytes of the row: 17 of them are a block, its scale first.
uint block_half(uint i) {
  const uint block = i / 17u;
  const uint inside = i % 17u;
  if (inside == 0u) return block_scales[block];
  const float inverse = block_inverses[block];
  if (inverse == 0.0) return 0u;
  uint bytes = 0u;
  for (uint j = 0u; j < 2u; ++j) {
    precise float v = head[block * 32u + (inside - 1u) * 2u + j] * inverse;
    // Truncation after adding the float below one half rounds ties away from zero.
    precise float rounded = v + (v < 0.0 ? -0.49999997 : 0.49999997);
    bytes |= (uint(int(rounded)) & 0xffu) << (8u * j);
  }
  return bytes;
}

// Words at the ends may be shared with neighbouring rows, which others write at the same time.
void store_blocks(uvec2 row) {
  const uint i = gl_LocalInvocationID.x;
  for (uint b = i; b < HEAD_DIM / 32u; b += gl_WorkGroupSize.x) measure_block(b);
  barrier();
  const uint halves = HEAD_DIM / 32u * 17u;
  const uint skip = (row.x >> 1) & 1u;
  Words words = Words(uvec2(row.x & ~3u, row.y));
  for (uint w = i; w < (halves + skip + 1u) / 2u; w += gl_WorkGroupSize.x) {
    const bool has_low = 2u * w >= skip;
    const bool has_high = 2u * w + 1u < halves + skip;
    const uint low = has_low ? block_half(2u * w - skip) : 0u;
    const uint high = has_high ? block_half(2u * w + 1u - skip) : 0u;
    if (has_low && has_high) {
      words.at[w] = low | (high << 16);
    } else {
      atomicAnd(words.at[w], has_low ? 0xffff0000u : 0x0000ffffu);
      atomicOr(words.at[w], low | (high << 16));
    }
  }
}

void store_cache(uint dtype, uvec2 row) {
  const uint i = gl_LocalInvocationID.x;
  if (dtype == kCacheQ8) {
    store_blocks(row);
  } else if (dtype == kCacheF32) {
    for (uint c = i; c < HEAD_DIM; c += gl_WorkGroupSize.x) Floats(row).at[c] = head[c];
  } else {
    for (uint w = i; w < HEAD_DIM / 2u; w += gl_WorkGroupSize.x) {
      const vec2 v = vec2(head[2u * w], head[2u * w + 1u]);
      Words(row).at[w] = dtype == kCacheF16 ? f16_bits(v.x) | (f16_bits(v.y) << 16)
                                            : bf16_bits(v.x) | (bf16_bits(v.y) << 16);
    }
  }
}
