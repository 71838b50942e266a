// Rows of x, as words from an address. Needs include/matmul_push.glsl.

// Columns [column, column + 4) of the f32 row that begins at word `first`; zeros beyond the last.
vec4 x_columns(uvec2 rows, uint first, uint column) {
  if (X_ALIGNED != 0u) return Floats4(rows).at[(first + column) >> 2];
  Floats from = Floats(rows);
  vec4 v = vec4(0);
  [[unroll]] for (uint i = 0u; i < 4u; ++i)
    if (column + i < k) v[i] = from.at[first + column + i];
  return v;
}

#ifdef X_INT8
// 16 columns of a row of Layout::quantized: values, their sum, and their scale.
struct Int8Group {
  uvec4 bytes;
  int sum;
  float scale;
};

// `column` is a multiple of 16. The row has k values, k / 32 scales, as many sums and k / 16 half
// sums; sums are times -128.
Int8Group int8_group(uvec2 rows, uint first, uint column) {
  Words words = Words(rows);
  const uint scales = first + (k >> 2);
  const uint halves = scales + (k >> 4);
  Int8Group group;
  const uint at = first + (column >> 2);
  if (X_ALIGNED != 0u)
    group.bytes = Words4(rows).at[at >> 2];
  else
    group.bytes = uvec4(words.at[at], words.at[at + 1u], words.at[at + 2u], words.at[at + 3u]);
  group.scale = uintBitsToFloat(words.at[scales + (column >> 5)]);
  group.sum = -(int(words.at[halves + (column >> 4)]) >> 7);
  return group;
}

#ifdef INT_DOT
spirv_instruction(extensions = ["SPV_KHR_integer_dot_product"], capabilities = [6018, 6019],
                  id = 4450) int signed_dot(int a, int b, spirv_literal int packed_format);
int dot4(uint a, uint b) { return signed_dot(int(a), int(b), 0); }
#else
int dot4(uint a, uint b) {
  int sum = 0;
  [[unroll]] for (int i = 0; i < 32; i += 8)
    sum += bitfieldExtract(int(a), i, 8) * bitfieldExtract(int(b), i, 8);
  return sum;
}
#endif

int dot16(uvec4 a, uvec4 b) {
  return dot4(a.x, b.x) + dot4(a.y, b.y) + dot4(a.z, b.z) + dot4(a.w, b.w);
}
#endif
