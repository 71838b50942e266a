// f32 to bf16 and f16 by whole numbers, so that every device rounds alike: to nearest even, overflow
// to infinity, NaN stays NaN.
bool is_nan(float x) { return (floatBitsToUint(x) & 0x7fffffffu) > 0x7f800000u; }

uint bf16_bits(float x) {
  const uint bits = floatBitsToUint(x);
  const uint rounded = (bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16;
  return is_nan(x) ? (bits >> 16) | 0x40u : rounded;
}

uint f16_bits(float x) {
  const uint bits = floatBitsToUint(x);
  const uint sign = (bits >> 16) & 0x8000u;
  const uint magnitude = bits & 0x7fffffffu;
  if (magnitude > 0x7f800000u) return sign | 0x7e00u | ((magnitude >> 13) & 0x3ffu);
  if (magnitude >= 0x477ff000u) return sign | 0x7c00u;
  if (magnitude < 0x38800000u) {
    // A denormal: adding 0.5 aligns the mantissa, and the addition rounds it to nearest even.
    precise float aligned = uintBitsToFloat(magnitude) + 0.5;
    return sign | (floatBitsToUint(aligned) - 0x3f000000u);
  }
  return sign | ((magnitude - 0x38000000u + 0xfffu + ((magnitude >> 13) & 1u)) >> 13);
}
