// Units of F32 (4 columns), F16 and BF16 (8 columns): 16 bytes. Part of weights.glsl.

// Beyond the last column there are zeros.
void load_floats(WeightRow w, uint u, inout Unit unit) {
  if (ALIGNED != 0u) {
    unit.a = Words4(w.address).at[u];
    return;
  }
  if (DTYPE == F32) {
    [[unroll]] for (uint i = 0u; i < 4u; ++i)
      if (u * 4u + i < w.columns) unit.a[i] = word_at(w, (u * 4u + i) * 4u);
    return;
  }
  [[unroll]] for (uint i = 0u; i < 4u; ++i) {
    const uint column = u * 8u + i * 2u;
    if (column + 1u < w.columns)
      unit.a[i] = word_at(w, column * 2u);
    else if (column < w.columns)
      unit.a[i] = short_at(w, column * 2u);
  }
}

vec4 floats_piece(Unit unit, uint p) {
  if (DTYPE == F32) return uintBitsToFloat(unit.a);
  const uvec2 pair = p == 0u ? unit.a.xy : unit.a.zw;
  if (DTYPE == F16) return vec4(unpackHalf2x16(pair.x), unpackHalf2x16(pair.y));
  return uintBitsToFloat(
      uvec4(pair.x << 16, pair.x & 0xffff0000u, pair.y << 16, pair.y & 0xffff0000u));
}
