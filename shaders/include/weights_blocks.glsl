// Units of the quantized dtypes. Part of weights.glsl. Block layouts: GGUF specification; the
// numbers of field() are those of runtime/core/planes.def.

// Where a dtype has what; a table of constants, so that every load stands in the code once.
// Quants: 16 bytes a unit (kHasSecond: 32).
const uint kQuantOffset = DTYPE == MXFP4                    ? 1u
                          : DTYPE == Q4_1                   ? 4u
                          : DTYPE == Q5_0                   ? 6u
                          : DTYPE == Q5_1 || DTYPE == IQ4_XS ? 8u
                          : DTYPE == Q2_K || DTYPE == Q4_K  ? 16u
                          : DTYPE == Q3_K                   ? 32u
                          : DTYPE == Q5_K                   ? 48u
                          : DTYPE == Q6_K                   ? 0u
                                                            : 2u;
const uint kQuantBytes = kLargeBlocks ? (DTYPE == Q2_K || DTYPE == Q3_K ? 64u : 128u)
                                      : (DTYPE == Q8_0 ? 32u : 16u);
const bool kHasSecond = DTYPE == Q8_0 || DTYPE == Q6_K;

// High bits of quants: 16 bytes a unit.
const bool kHasHigh = DTYPE == Q3_K || DTYPE == Q5_K || DTYPE == Q6_K;
const uint kHighOffset = DTYPE == Q3_K ? 0u : DTYPE == Q5_K ? 16u : 128u;
const uint kHighBefore = DTYPE == Q3_K ? 64u : 128u;
const uint kHighBytes = DTYPE == Q6_K ? 64u : 32u;

// Scales and whatever else a block has in whole words: kHeadWords of them.
const uint kHeadWords = DTYPE == Q2_K || DTYPE == Q4_K || DTYPE == Q5_K || DTYPE == Q6_K ? 4u
                        : DTYPE == Q3_K                                                ? 3u
                        : DTYPE == Q5_1 || DTYPE == IQ4_XS                             ? 2u
                        : DTYPE == Q4_1 || DTYPE == Q5_0                               ? 1u
                                                                                       : 0u;
const uint kHeadOffset = DTYPE == Q3_K ? 96u : DTYPE == Q6_K ? 192u : DTYPE == Q5_0 ? 2u : 0u;
const uint kHeadBefore = DTYPE == Q2_K                    ? 64u
                         : DTYPE == Q4_K || DTYPE == IQ4_XS ? 128u
                         : DTYPE == Q5_K                  ? 160u
                         : DTYPE == Q6_K                  ? 192u
                         : DTYPE == Q3_K                  ? 96u
                                                          : 16u;

// The scale of the block as a half of its own.
const bool kHasHalf = DTYPE == Q4_0 || DTYPE == IQ4_NL || DTYPE == Q5_0 || DTYPE == Q8_0 ||
                      DTYPE == Q3_K || DTYPE == Q6_K;
const uint kHalfOffset = DTYPE == Q3_K ? 108u : DTYPE == Q6_K ? 208u : 0u;
const uint kHalfBefore = DTYPE == Q3_K   ? 108u
                         : DTYPE == Q6_K ? 208u
                         : DTYPE == Q8_0 ? 32u
                         : DTYPE == Q5_0 ? 20u
                                         : 16u;

// 2^(e - 128), half of MXFP4's scale: its values are kept doubled, as whole numbers.
float e8m0_half(uint e) { return uintBitsToFloat(e < 2u ? 0x00200000u << e : (e - 1u) << 23); }

// Scale and minimum of 32-column group g of Q4_K and Q5_K: 6 bits each in the last 12 bytes of the
// block's head; the last four groups have their high bits above those of the first four.
uvec2 six_bits(uvec4 head, uint g) {
  if (g < 4u) return uvec2(byte_of(head, 4u + g) & 63u, byte_of(head, 8u + g) & 63u);
  const uint both = byte_of(head, 8u + g);
  return uvec2((both & 15u) | ((byte_of(head, g) >> 6) << 4),
               (both >> 4) | ((byte_of(head, 4u + g) >> 6) << 4));
}

// Scale of 16-column group g of Q3_K from its 12 bytes: 4 low bits, then 2 high bits.
int q3_scale(uvec4 bytes, uint g) {
  const uint low = (byte_of(bytes, g & 7u) >> ((g >> 3) * 4u)) & 15u;
  const uint high = (byte_of(bytes, 8u + (g & 3u)) >> ((g >> 2) * 2u)) & 3u;
  return int(low | (high << 4)) - 32;
}

// Scale and minimum of group `g` of unit `part`: `d` of the block times what its head says.
vec2 group_scale(uvec4 head, vec2 d, uint part, uint g) {
  const uint sixteenth = (part >> 1) * 8u + (part & 1u) + 2u * g;  // of kWideUnits
  if (DTYPE == Q2_K) {
    const uint both = byte_of(head, sixteenth);
    return vec2(d.x * float(both & 15u), -d.y * float(both >> 4));
  }
  if (DTYPE == Q3_K) return vec2(d.x * float(q3_scale(head, sixteenth)), 0.0);
  if (DTYPE == Q6_K) return vec2(d.x * float(int(byte_of(head, sixteenth) << 24) >> 24), 0.0);
  if (DTYPE == Q4_K || DTYPE == Q5_K) {
    const vec2 six = vec2(six_bits(head, (part >> 1) * 2u + g));
    return vec2(d.x * six.x, -d.y * six.y);
  }
  if (DTYPE == IQ4_XS) {  // the unit is one group of 32
    const uint low = (head.y >> (part * 4u)) & 15u;
    const uint high = (head.x >> (16u + part * 2u)) & 3u;
    return vec2(d.x * float(int(low | (high << 4)) - 32), 0.0);
  }
  return d;
}

// Unit `part` of a block: of 32 columns, the whole block. kWideUnits: 16 columns of each of four
// groups of 32; Q4_K, Q5_K: of each of two; IQ4_XS: a group of 32.
void load_block(WeightRow w, uint block, uint part, inout Unit unit) {
  const uint quants = field(w, block, kQuantOffset, 0u, kQuantBytes) +
                      (DTYPE == Q6_K ? (part >> 1) * 64u + (part & 1u) * 16u : part * 16u);
  unit.part = part;
  unit.a = quad_at(w, quants);
  if (kHasSecond) unit.b = quad_at(w, quants + (DTYPE == Q6_K ? 32u : 16u));
  if (kHasHigh)
    unit.c = quad_at(w, field(w, block, kHighOffset, kHighBefore, kHighBytes) +
                            (DTYPE == Q6_K ? part : part & 1u) * 16u);
  const uint at = field(w, block, kHeadOffset, kHeadBefore, kHeadWords * 4u);
  uvec4 head = uvec4(0);
  if (kHeadWords == 4u) {
    head = quad_at(w, at);
  } else {
    [[unroll]] for (uint i = 0u; i < 3u; ++i)
      if (i < kHeadWords) head[i] = word_at(w, at + i * 4u);
  }
  vec2 d = unpackHalf2x16(head.x);
  if (DTYPE == Q2_K) d = unpackHalf2x16(word_at(w, field(w, block, 80u, 80u, 4u)));
  if (kHasHalf) d = vec2(half_at(w, field(w, block, kHalfOffset, kHalfBefore, 2u)), 0.0);
  if (DTYPE == MXFP4) d = vec2(e8m0_half(byte_at(w, field(w, block, 0u, 16u, 1u))), 0.0);
  if (DTYPE == Q5_0) unit.c.x = head.x;
  if (DTYPE == Q5_1) unit.c.x = head.y;
  [[unroll]] for (uint g = 0u; g < kUnitGroups; ++g) {
    const vec2 scale = group_scale(head, d, part, g);
    unit.scale[g] = scale.x;
    unit.minimum[g] = scale.y;
  }
}

// The codebook's value of each of four indices (one in the low nibble of each byte), as bytes.
uint codebook_bytes(uint indices) {
  uvec4 values = uvec4(0xbfad9881u, 0xf6eaddcfu, 0x26190d01u, 0x71594535u);
  if (DTYPE == MXFP4) values = uvec4(0x03020100u, 0x0c080604u, 0xfdfeff00u, 0xf4f8fafcu);
  uint bytes = 0u;
  [[unroll]] for (uint i = 0u; i < 4u; ++i)
    bytes |= byte_of(values, (indices >> (8u * i)) & 15u) << (8u * i);
  return bytes;
}

// Bit i of `bits` (4 of them) in the lowest bit of byte i.
uint spread_bits(uint bits) { return (bits * 0x00204081u) & 0x01010101u; }

// The four quants of piece 4 * g + i, one a byte.
uint group_bytes(Unit unit, uint g, uint i) {
  if (DTYPE == Q8_0) return g == 0u ? unit.a[i] : unit.b[i];
  if (DTYPE == Q2_K) return (unit.a[i] >> (2u * g)) & 0x03030303u;
  if (DTYPE == Q3_K) {
    const uint high = (unit.c[i] >> ((unit.part >> 1) * 4u + g)) & 0x01010101u;
    return ((unit.a[i] >> (2u * g)) & 0x03030303u) | (high << 2);
  }
  if (DTYPE == Q6_K) {
    const uint low = (g & 1u) == 0u ? unit.a[i] : unit.b[i];
    const uint high = (unit.c[i] >> (2u * g)) & 0x03030303u;
    return ((low >> ((g >> 1) * 4u)) & 0x0f0f0f0fu) | (high << 4);
  }
  const uint nibbles = (unit.a[i] >> (4u * g)) & 0x0f0f0f0fu;
  if (DTYPE == IQ4_NL || DTYPE == IQ4_XS || DTYPE == MXFP4) return codebook_bytes(nibbles);
  if (DTYPE == Q5_0 || DTYPE == Q5_1)
    return nibbles | (spread_bits((unit.c.x >> (g * 16u + i * 4u)) & 15u) << 4);
  if (DTYPE == Q5_K)
    return nibbles | (((unit.c[i] >> ((unit.part >> 1) * 2u + g)) & 0x01010101u) << 4);
  return nibbles;
}
