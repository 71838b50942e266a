// Units of the quantized dtypes. Part of weights.glsl. Block layouts: GGUF specification; the
// numbers of field() are those of runtime/core/planes.def.

// 2^(e - 128), half of MXFP4's scale: its values are kept doubled, as whole numbers.
float e8m0_half(uint e) { return uintBitsToFloat(e < 2u ? 0x00200000u << e : (e - 1u) << 23); }

// Blocks of 32 columns: a unit is a block.
void load_small(WeightRow w, uint u, inout Unit unit) {
  vec2 d = vec2(0);  // scale, minimum
  if (DTYPE == Q4_0 || DTYPE == IQ4_NL) {
    unit.a = quad_at(w, field(w, u, 2u, 0u, 16u));
    d.x = half_at(w, field(w, u, 0u, 16u, 2u));
  } else if (DTYPE == Q4_1) {
    unit.a = quad_at(w, field(w, u, 4u, 0u, 16u));
    d = unpackHalf2x16(word_at(w, field(w, u, 0u, 16u, 4u)));
  } else if (DTYPE == Q5_0) {
    unit.a = quad_at(w, field(w, u, 6u, 0u, 16u));
    unit.c.x = word_at(w, field(w, u, 2u, 16u, 4u));
    d.x = half_at(w, field(w, u, 0u, 20u, 2u));
  } else if (DTYPE == Q5_1) {
    unit.a = quad_at(w, field(w, u, 8u, 0u, 16u));
    const uint head = field(w, u, 0u, 16u, 8u);
    d = unpackHalf2x16(word_at(w, head));
    unit.c.x = word_at(w, head + 4u);
  } else if (DTYPE == Q8_0) {
    const uint at = field(w, u, 2u, 0u, 32u);
    unit.a = quad_at(w, at);
    unit.b = quad_at(w, at + 16u);
    d.x = half_at(w, field(w, u, 0u, 32u, 2u));
  } else {  // MXFP4
    unit.a = quad_at(w, field(w, u, 1u, 0u, 16u));
    d.x = e8m0_half(byte_at(w, field(w, u, 0u, 16u, 1u)));
  }
  unit.scale = d.xxxx;
  unit.minimum = d.yyyy;
}

// Scale and minimum of 32-column group g of Q4_K and Q5_K: 6 bits each in the last 12 bytes of the
// block's head; the last four groups have their high bits above those of the first four.
uvec2 six_bits(uvec4 head, uint g) {
  if (g < 4u) return uvec2(byte_of(head, 4u + g) & 63u, byte_of(head, 8u + g) & 63u);
  const uint both = byte_of(head, 8u + g);
  return uvec2((both & 15u) | ((byte_of(head, g) >> 6) << 4),
               (both >> 4) | ((byte_of(head, 4u + g) >> 6) << 4));
}

// Q4_K, Q5_K: unit `part` of a block has 16 columns of each of two neighbouring groups of 32.
void load_k45(WeightRow w, uint block, uint part, inout Unit unit) {
  uvec4 head;
  if (DTYPE == Q4_K) {
    unit.a = quad_at(w, field(w, block, 16u, 0u, 128u) + part * 16u);
    head = quad_at(w, field(w, block, 0u, 128u, 16u));
  } else {
    unit.a = quad_at(w, field(w, block, 48u, 0u, 128u) + part * 16u);
    unit.c = quad_at(w, field(w, block, 16u, 128u, 32u) + (part & 1u) * 16u);
    head = quad_at(w, field(w, block, 0u, 160u, 16u));
  }
  const vec2 d = unpackHalf2x16(head.x);
  [[unroll]] for (uint g = 0u; g < 2u; ++g) {
    const vec2 six = vec2(six_bits(head, (part >> 1) * 2u + g));
    unit.scale[g] = d.x * six.x;
    unit.minimum[g] = -d.y * six.y;
  }
}

// Scale of 16-column group g of Q3_K from its 12 bytes: 4 low bits, then 2 high bits.
int q3_scale(uvec3 bytes, uint g) {
  const uvec4 all = uvec4(bytes, 0u);
  const uint low = (byte_of(all, g & 7u) >> ((g >> 3) * 4u)) & 15u;
  const uint high = (byte_of(all, 8u + (g & 3u)) >> ((g >> 2) * 2u)) & 3u;
  return int(low | (high << 4)) - 32;
}

// Q2_K, Q3_K, Q6_K: unit `part` (half of the block, half of 32 columns) has 16 columns of each of
// four groups of 32.
void load_k236(WeightRow w, uint block, uint part, inout Unit unit) {
  const uint first = (part >> 1) * 8u + (part & 1u);  // its groups of 16: first + 0, 2, 4, 6
  if (DTYPE == Q2_K) {
    unit.a = quad_at(w, field(w, block, 16u, 0u, 64u) + part * 16u);
    const uvec4 scales = quad_at(w, field(w, block, 0u, 64u, 16u));
    const vec2 d = unpackHalf2x16(word_at(w, field(w, block, 80u, 80u, 4u)));
    [[unroll]] for (uint g = 0u; g < 4u; ++g) {
      const uint both = byte_of(scales, first + 2u * g);
      unit.scale[g] = d.x * float(both & 15u);
      unit.minimum[g] = -d.y * float(both >> 4);
    }
  } else if (DTYPE == Q3_K) {
    unit.a = quad_at(w, field(w, block, 32u, 0u, 64u) + part * 16u);
    unit.c = quad_at(w, field(w, block, 0u, 64u, 32u) + (part & 1u) * 16u);
    const uint at = field(w, block, 96u, 96u, 12u);
    const uvec3 scales = uvec3(word_at(w, at), word_at(w, at + 4u), word_at(w, at + 8u));
    const float d = half_at(w, field(w, block, 108u, 108u, 2u));
    [[unroll]] for (uint g = 0u; g < 4u; ++g)
      unit.scale[g] = d * float(q3_scale(scales, first + 2u * g));
  } else {  // Q6_K
    const uint low = field(w, block, 0u, 0u, 128u) + (part >> 1) * 64u + (part & 1u) * 16u;
    unit.a = quad_at(w, low);
    unit.b = quad_at(w, low + 32u);
    unit.c = quad_at(w, field(w, block, 128u, 128u, 64u) + part * 16u);
    const uvec4 scales = quad_at(w, field(w, block, 192u, 192u, 16u));
    const float d = half_at(w, field(w, block, 208u, 208u, 2u));
    [[unroll]] for (uint g = 0u; g < 4u; ++g) {
      const int scale = int(byte_of(scales, first + 2u * g) << 24) >> 24;
      unit.scale[g] = d * float(scale);
    }
  }
}

// Unit `part` of a block is its group of 32 columns.
void load_iq4_xs(WeightRow w, uint block, uint part, inout Unit unit) {
  unit.a = quad_at(w, field(w, block, 8u, 0u, 128u) + part * 16u);
  const uint at = field(w, block, 0u, 128u, 8u);
  const uint head = word_at(w, at);  // d, and two high bits of each scale
  const uint low = (word_at(w, at + 4u) >> (part * 4u)) & 15u;
  const uint high = (head >> (16u + part * 2u)) & 3u;
  unit.scale = vec4(unpackHalf2x16(head).x * float(int(low | (high << 4)) - 32));
}

void load_large(WeightRow w, uint u, inout Unit unit) {
  const uint block = u / kBlockUnits;
  const uint part = u % kBlockUnits;
  unit.part = part;
  if (kWideUnits)
    load_k236(w, block, part, unit);
  else if (DTYPE == IQ4_XS)
    load_iq4_xs(w, block, part, unit);
  else
    load_k45(w, block, part, unit);
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

// The four quants of piece `p`, one a byte.
uint unit_bytes(Unit unit, uint p) {
  const uint g = p >> 2;
  const uint i = p & 3u;
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
    return nibbles | (spread_bits((unit.c.x >> (p * 4u)) & 15u) << 4);
  if (DTYPE == Q5_K)
    return nibbles | (((unit.c[i] >> ((unit.part >> 1) * 2u + g)) & 0x01010101u) << 4);
  return nibbles;
}
