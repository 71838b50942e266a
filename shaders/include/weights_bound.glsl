// How large weights may be, for those that become halves. Needs include/weights.glsl.

// The largest magnitude of group_bytes(), with kOffset taken away.
const float kLargestQuant = DTYPE == Q2_K                       ? 3.0
                            : DTYPE == Q3_K                     ? 4.0
                            : DTYPE == Q4_0                     ? 8.0
                            : DTYPE == MXFP4                    ? 12.0
                            : DTYPE == Q4_1 || DTYPE == Q4_K    ? 15.0
                            : DTYPE == Q5_0                     ? 16.0
                            : DTYPE == Q5_1 || DTYPE == Q5_K    ? 31.0
                            : DTYPE == Q6_K                     ? 32.0
                                                                : 128.0;

uint finite_bits(float value) {
  const uint magnitude = floatBitsToUint(value) & 0x7fffffffu;
  return magnitude < 0x7f800000u ? magnitude : 0u;
}

// The bits of a magnitude that no finite weight of group `g` of a unit exceeds.
uint group_bound(Unit unit, uint g) {
  if (!kFloats) return finite_bits(abs(unit.scale[g]) * kLargestQuant + abs(unit.minimum[g]));
  uint bound = 0u;
  [[unroll]] for (uint p = 0u; p < kUnitPieces; ++p) {
    const vec4 v = floats_piece(unit, p);
    [[unroll]] for (uint c = 0u; c < 4u; ++c) bound = max(bound, finite_bits(v[c]));
  }
  return bound;
}
