#pragma once

// Functions whose results are right to the last bit of f32 but for rare ties: computed in double.
// Few values per token need them, so that GPUs with few units for double are not slowed down.

#include "platform.h"

namespace strata::STRATA_SIMT {

STRATA_DEVICE long long double_bits(double x) {
  long long bits;
  __builtin_memcpy(&bits, &x, sizeof(bits));
  return bits;
}
STRATA_DEVICE double double_of(long long bits) {
  double x;
  __builtin_memcpy(&x, &bits, sizeof(x));
  return x;
}

// Adding it rounds to an integer, which is then in the low bits.
constexpr double kIntegerShift = 6755399441055744.0;  // 1.5 * 2^52

struct Turn {
  float cosine;
  float sine;
};

// cos and sin of an angle up to 2^31. n * pi / 2 is taken off in three parts, of which the products
// of the first two with n are exact. What is left, |r| <= pi / 4, goes into Taylor series with
// remainders below 2^-33; n modulo 4 says which of the two is which.
STRATA_DEVICE Turn turn_of(double angle) {
  const double shifted = angle * 0.63661977236758134 + kIntegerShift;
  const double n = shifted - kIntegerShift;
  const double r = ((angle - n * 0x1.921fbp0) - n * 0x1.5110bp-22) - n * 0x1.18469898cc517p-44;
  const double r2 = r * r;
  double s = -1.0 / 39916800;
  s = s * r2 + 1.0 / 362880;
  s = s * r2 - 1.0 / 5040;
  s = s * r2 + 1.0 / 120;
  s = s * r2 - 1.0 / 6;
  s = s * r2 * r + r;
  double c = 1.0 / 479001600;
  c = c * r2 - 1.0 / 3628800;
  c = c * r2 + 1.0 / 40320;
  c = c * r2 - 1.0 / 720;
  c = c * r2 + 1.0 / 24;
  c = c * r2 - 0.5;
  c = c * r2 + 1.0;
  const long long quadrant = double_bits(shifted);
  const double cosine = (quadrant & 1) != 0 ? s : c;
  const double sine = (quadrant & 1) != 0 ? c : s;
  return {static_cast<float>(((quadrant + 1) & 2) != 0 ? -cosine : cosine),
          static_cast<float>((quadrant & 2) != 0 ? -sine : sine)};
}

// exp(x) for x <= 0, zero below -708. exp(x) = 2^n * exp(r), |r| <= ln 2 / 2, by its Taylor series
// with a remainder below 2^-50. NaN stays NaN.
STRATA_DEVICE double exp_of_negative(double x) {
  if (x < -708.0) return 0.0;
  const double shifted = x * 1.4426950408889634 + kIntegerShift;
  const double n = shifted - kIntegerShift;
  const double r = (x - n * 0x1.62e42fee00000p-1) - n * 0x1.a39ef35793c76p-33;
  double q = 1.0 / 479001600;
  q = q * r + 1.0 / 39916800;
  q = q * r + 1.0 / 3628800;
  q = q * r + 1.0 / 362880;
  q = q * r + 1.0 / 40320;
  q = q * r + 1.0 / 5040;
  q = q * r + 1.0 / 720;
  q = q * r + 1.0 / 120;
  q = q * r + 1.0 / 24;
  q = q * r + 1.0 / 6;
  q = q * r + 0.5;
  q = q * r + 1.0;
  q = q * r + 1.0;
  return q * double_of((double_bits(shifted) + 1023) << 52);
}

}  // namespace strata::STRATA_SIMT
