// e^x within two units in the last place, and silu from it: a device's own exp may be off by more
// units the larger x is. e^x = 2^n * e^r, n = round(x / ln 2). ln 2 is cut into a part of 15 bits,
// whose product with n is exact, and the rest. e^r is its Taylor series up to r^7 / 7!, whose
// remainder is below 2^-27. 2^n is applied in two halves, so that results may be denormal.
float exponential(float value) {
  // Below -104 it rounds to zero, above 89 to infinity; NaN stays.
  const float x = value < -104.0 ? -104.0 : value > 89.0 ? 89.0 : value;
  precise float shifted = x * 1.44269504 + 12582912.0;  // adding 1.5 * 2^23 rounds
  precise float n = shifted - 12582912.0;
  precise float r = (x - n * 0.693145752) - n * 1.42860677e-6;
  precise float q = 1.0 / 5040.0;
  q = q * r + 1.0 / 720.0;
  q = q * r + 1.0 / 120.0;
  q = q * r + 1.0 / 24.0;
  q = q * r + 1.0 / 6.0;
  q = q * r + 0.5;
  q = (q * (r * r) + r) + 1.0;
  const int exponent = floatBitsToInt(shifted) - 0x4b400000;
  const int part = exponent >> 1;
  precise float y = q * intBitsToFloat((part + 127) << 23) *
                    intBitsToFloat((exponent - part + 127) << 23);
  return y;
}

// silu(gate) * up.
float silu_times(float gate, float up) {
  precise float y = gate / (exponential(-gate) + 1.0) * up;
  return y;
}
