// Rows of the KV cache: head_dim elements of f32, f16, bf16 or blocks of Q8_0 (an f16 scale, 32
// bytes). Needs include/address.glsl. Type ids are GGUF's.
const uint kCacheF32 = 0u;
const uint kCacheF16 = 1u;
const uint kCacheQ8 = 8u;
const uint kCacheBf16 = 30u;

vec4 halves_of(uvec2 words) { return vec4(unpackHalf2x16(words.x), unpackHalf2x16(words.y)); }
vec4 brains_of(uvec2 words) {
  return uintBitsToFloat(
      uvec4(words.x << 16, words.x & 0xffff0000u, words.y << 16, words.y & 0xffff0000u));
}
vec4 bytes_of(uint word) {
  const ivec4 q = ivec4(word, word >> 8, word >> 16, word >> 24);
  return vec4((q << 24) >> 24);
}

// Elements [8 i, 8 i + 8) of a Q8_0 row, which begins on 2 bytes. Reads no word that holds none of
// what it wants.
void load_bytes(uvec2 row, uint i, out vec4 a, out vec4 b) {
  const uint skip = row.x & 2u;
  Words words = Words(uvec2(row.x & ~3u, row.y));
  const uint block = skip + (i >> 2) * 34u;
  const float scale = unpackHalf2x16(words.at[block >> 2] >> ((block & 2u) * 8u)).x;
  const uint begin = block + 2u + (i & 3u) * 8u;
  uvec2 w = uvec2(words.at[begin >> 2], words.at[(begin >> 2) + 1u]);
  if ((begin & 2u) != 0u) {
    const uint last = words.at[(begin >> 2) + 2u];
    w = uvec2((w.x >> 16) | (w.y << 16), (w.y >> 16) | (last << 16));
  }
  a = bytes_of(w.x) * scale;
  b = bytes_of(w.y) * scale;
}

// Elements [count * i, count * i + count) of a row, count 8 or 4 (then b is of no use, and there is
// no Q8_0). Rows are whole multiples of `count` elements.
void load_cache(uint dtype, uvec2 row, uint i, uint count, out vec4 a, out vec4 b) {
  if (dtype == kCacheQ8) {
    load_bytes(row, i, a, b);
  } else if (dtype == kCacheF32) {
    a = Floats4(row).at[count == 8u ? 2u * i : i];
    b = count == 8u ? Floats4(row).at[2u * i + 1u] : a;
  } else {
    uvec4 w;
    if (count == 8u)
      w = Words4(row).at[i];
    else
      w = uvec4(Words(row).at[2u * i], Words(row).at[2u * i + 1u], 0u, 0u);
    a = dtype == kCacheF16 ? halves_of(w.xy) : brains_of(w.xy);
    b = dtype == kCacheF16 ? halves_of(w.zw) : brains_of(w.zw);
  }
}
