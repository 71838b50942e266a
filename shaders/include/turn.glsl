// Cosines and sines of rope's angles, rounded once: errors far below half a unit also where the
// result is near zero, for angles below 2^31. A device's own sin and cos may be off by 2^-11.
#include "include/twofold.glsl"

// The first 96 bits of 2 / pi, and pi / 2.
const uint kTwoOverPi[3] = {0xa2f9836eu, 0x4e441529u, 0xfc2757d1u};
const vec2 kHalfPi = vec2(1.57079637, -4.37113883e-08);

// |angle| = (quadrant + fraction) * pi / 2, |fraction| <= 1/2, by whole numbers: the product of the
// angle's 24 bits with those of 2 / pi, of which 64 behind the point are kept.
vec2 quadrant_fraction(float magnitude, out uint quadrant) {
  const uint bits = floatBitsToUint(magnitude);
  const uint mantissa = ((bits & 0x7fffffu) | 0x800000u) << 8;
  uvec3 high;
  uvec3 low;
  umulExtended(uvec3(mantissa), uvec3(kTwoOverPi[0], kTwoOverPi[1], kTwoOverPi[2]), high, low);
  uint carry_in;
  uint carry_out;
  const uint third = uaddCarry(low.y, high.z, carry_in);
  uint second = uaddCarry(low.x, high.y, carry_out);
  uint carry;
  second = uaddCarry(second, carry_in, carry);
  const uint first = high.x + carry_out + carry;
  // The point: the product of 2^-1 <= angle < 2^31 has 32 .. 1 bits too many before it.
  const uint shift = uint(clamp(158 - int(bits >> 23), 1, 32));
  quadrant = shift == 32u ? 0u : first >> shift;
  uvec2 f = shift == 32u ? uvec2(first, second)
                         : uvec2((first << (32u - shift)) | (second >> shift),
                                 (second << (32u - shift)) | (third >> shift));
  const bool negative = f.x >= 0x80000000u;
  if (negative) {
    quadrant += 1u;
    f = ~f;  // one unit of 2^-64 less
  }
  int exponent = 0;
  if (f.x == 0u) {
    f = uvec2(f.y, 0u);
    exponent = -32;
  }
  const uint zeros = uint(31 - findMSB(f.x | 1u));
  if (zeros > 0u) f = uvec2((f.x << zeros) | (f.y >> (32u - zeros)), f.y << zeros);
  exponent -= int(zeros);
  const float unit = intBitsToFloat((exponent + 127 - 24) << 23) * (negative ? -1.0 : 1.0);
  const float next = float(((f.x & 0xffu) << 16) | (f.y >> 16)) * 5.96046448e-08;  // 2^-24
  return ordered_sum(float(f.x >> 8) * unit, next * unit);
}

// The sine of r, |r| <= pi / 4: its Taylor series up to r^11, of which what is behind r^5 may be
// rounded like any float.
vec2 sine_of(vec2 r, vec2 z) {
  precise float rest = z.x * (-1.98412701e-4 + z.x * (2.75573188e-6 - z.x * 2.50521079e-8));
  vec2 p = twofold_sum(vec2(8.33333377e-3, -4.34617203e-10), vec2(rest, 0.0));
  p = twofold_sum(twofold_product(p, z), vec2(-0.166666672, 4.96705388e-9));
  return twofold_sum(r, twofold_product(r, twofold_product(p, z)));
}

// The cosine, up to r^12; what is behind r^4 may be rounded.
vec2 cosine_of(vec2 z) {
  precise float rest =
      z.x * (-1.38888892e-3 + z.x * (2.48015876e-5 + z.x * (-2.755732e-7 + z.x * 2.08767559e-9)));
  vec2 p = twofold_sum(vec2(0.0416666679, -1.24176347e-9), vec2(rest, 0.0));
  p = twofold_sum(twofold_product(p, z), vec2(-0.5, 0.0));
  return twofold_sum(vec2(1.0, 0.0), twofold_product(p, z));
}

// (cosine, sine).
vec2 turn_of(float angle) {
  const float magnitude = abs(angle);
  vec2 r = vec2(magnitude, 0.0);
  uint quadrant = 0u;
  if (magnitude >= 0.5) r = twofold_product(quadrant_fraction(magnitude, quadrant), kHalfPi);
  const vec2 z = twofold_product(r, r);
  const float s = sine_of(r, z).x;
  const float c = cosine_of(z).x;
  vec2 turn = (quadrant & 1u) == 0u ? vec2(c, s) : vec2(-s, c);
  if ((quadrant & 2u) != 0u) turn = -turn;
  return angle < 0.0 ? vec2(turn.x, -turn.y) : turn;
}
