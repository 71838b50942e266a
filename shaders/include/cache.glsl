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

// Some neighbouring elements of a row as they lie in memory, so that many loads can be under way
// before the first is waited for.
struct CachePiece {
  uvec4 a;
  uvec4 b;
  float scale;
};

// Elements [8 i, 8 i + 8) of a Q8_0 row, which begins on 2 bytes. Reads no word that holds none of
// what it wants.
CachePiece load_bytes(uvec2 row, uint i) {
  const uint skip = row.x & 2u;
  Words words = Words(uvec2(row.x & ~3u, row.y));
  const uint block = skip + (i >> 2) * 34u;
  const uint begin = block + 2u + (i & 3u) * 8u;
  const uint odd = (begin >> 1) & 1u;
  CachePiece piece;
  piece.scale = unpackHalf2x16(words.at[block >> 2] >> ((block & 2u) * 8u)).x;
  piece.a = uvec4(words.at[begin >> 2], words.at[(begin >> 2) + 1u],
                  words.at[(begin >> 2) + 1u + odd], odd);
  piece.b = uvec4(0);
  return piece;
}

// Elements [count * i, count * i + count) of a row, count 8 or 4 (no Q8_0). Rows are whole multiples
// of `count` elements.
CachePiece load_piece(uint dtype, uvec2 row, uint i, uint count) {
  if (dtype == kCacheQ8) return load_bytes(row, i);
  CachePiece piece;
  piece.scale = 1.0;
  piece.b = uvec4(0);
  if (dtype == kCacheF32) {
    piece.a = Words4(row).at[count == 8u ? 2u * i : i];
    if (count == 8u) piece.b = Words4(row).at[2u * i + 1u];
  } else if (count == 8u) {
    piece.a = Words4(row).at[i];
  } else {
    piece.a = uvec4(Words(row).at[2u * i], Words(row).at[2u * i + 1u], 0u, 0u);
  }
  return piece;
}

// Its values; of 4 elements, b is of no use.
void piece_values(uint dtype, CachePiece piece, out vec4 a, out vec4 b) {
  const uvec4 w = piece.a;
  if (dtype == kCacheQ8) {
    const bool odd = w.w != 0u;
    a = bytes_of(odd ? (w.x >> 16) | (w.y << 16) : w.x) * piece.scale;
    b = bytes_of(odd ? (w.y >> 16) | (w.z << 16) : w.y) * piece.scale;
  } else if (dtype == kCacheF32) {
    a = uintBitsToFloat(w);
    b = uintBitsToFloat(piece.b);
  } else {
    a = dtype == kCacheF16 ? halves_of(w.xy) : brains_of(w.xy);
    b = dtype == kCacheF16 ? halves_of(w.zw) : brains_of(w.zw);
  }
}
