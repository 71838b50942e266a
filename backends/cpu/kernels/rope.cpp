#include "backends/cpu/kernels/exp16.h"

namespace strata::cpu::STRATA_ISA {

typedef double F64Part __attribute__((vector_size(kLanes * 4)));
typedef std::int64_t I64Part __attribute__((vector_size(kLanes * 4)));
static constexpr int kHalf = kLanes / 2;  // lanes of F64Part
typedef float F32Half __attribute__((vector_size(kHalf * 4)));

static inline F64Part set_double(double x) { return F64Part{} + x; }

// cos and sin of angles up to 2^31, rounded to f32. n * pi / 2 is taken off in three parts; the
// first two have 22 bits, so that their products with n are exact. What is left, |r| <= pi / 4,
// goes into Taylor series whose remainders are below 2^-33. n modulo 4 says which of the two is
// which.
static inline void turn_part(F64Part angle, F32Half* cosine, F32Half* sine) {
  const F64Part magic = set_double(0x1.8p52);  // adding it rounds to an integer
  const F64Part shifted = angle * set_double(0x1.45f306dc9c883p-1) + magic;
  const F64Part n = shifted - magic;
  const F64Part r = ((angle - n * 0x1.921fbp0) - n * 0x1.5110bp-22) - n * 0x1.18469898cc517p-44;
  const F64Part r2 = r * r;
  F64Part s = set_double(-1.0 / 39916800);
  s = s * r2 + 1.0 / 362880;
  s = s * r2 - 1.0 / 5040;
  s = s * r2 + 1.0 / 120;
  s = s * r2 - 1.0 / 6;
  s = s * r2 * r + r;
  F64Part c = set_double(1.0 / 479001600);
  c = c * r2 - 1.0 / 3628800;
  c = c * r2 + 1.0 / 40320;
  c = c * r2 - 1.0 / 720;
  c = c * r2 + 1.0 / 24;
  c = c * r2 - 0.5;
  c = c * r2 + 1.0;
  const I64Part quadrant = (I64Part)shifted;
  const I64Part odd = -(quadrant & 1);
  const I64Part cos_bits = ((I64Part)s & odd) | ((I64Part)c & ~odd);
  const I64Part sin_bits = ((I64Part)c & odd) | ((I64Part)s & ~odd);
  const I64Part cos_sign = ((quadrant + 1) & 2) << 62;
  const I64Part sin_sign = (quadrant & 2) << 62;
  *cosine = __builtin_convertvector((F64Part)(cos_bits ^ cos_sign), F32Half);
  *sine = __builtin_convertvector((F64Part)(sin_bits ^ sin_sign), F32Half);
}

// A token's cosines and sines times `magnitude`, for rope() below. The angle is rounded to f32
// first, as the models' reference implementations do.
// turns: (2, pairs) cosines, sines; interleaved: (2, 2 * pairs), each twice, the first sine
// negated.
void rope_turns(const float* inv_freq, std::int64_t pairs, std::int32_t position, float magnitude,
                bool interleaved, float* turns) {
  for (std::int64_t i = 0; i < pairs; i += kHalf) {
    const std::int64_t count = pairs - i < kHalf ? pairs - i : kHalf;
    F64Part angle{};
    for (std::int64_t j = 0; j < count; ++j)
      angle[j] = static_cast<double>(static_cast<float>(position) * inv_freq[i + j]);
    F32Half cosine;
    F32Half sine;
    turn_part(angle, &cosine, &sine);
    cosine *= magnitude;
    sine *= magnitude;
    for (std::int64_t j = 0; j < count; ++j) {
      if (interleaved) {
        float* pair = turns + 2 * (i + j);
        pair[0] = pair[1] = cosine[j];
        pair[2 * pairs] = -sine[j];
        pair[2 * pairs + 1] = sine[j];
      } else {
        turns[i + j] = cosine[j];
        turns[i + j + pairs] = sine[j];
      }
    }
  }
}

// Neighbours change places.
static inline F32x16 swap_pairs(const F32x16& x) {
  typedef std::uint64_t U64Part __attribute__((vector_size(kLanes * 4)));
  F32Parts parts = parts_of(x);
  for (int i = 0; i < kParts; ++i) {
    const U64Part both = (U64Part)parts.v[i];
    parts.v[i] = (F32Part)((both >> 32) | (both << 32));
  }
  return whole_of(parts);
}

static void turn_neighbours(const float* x, float* out, std::int64_t rot_dim, const float* turns) {
  for (std::int64_t i = 0; i < rot_dim; i += kWide) {
    const std::int64_t left = rot_dim - i;
    const F32x16 pairs = load16_left(x + i, left);
    const F32x16 straight = mul16(pairs, load16_left(turns + i, left));
    const F32x16 crossed = mul16(swap_pairs(pairs), load16_left(turns + rot_dim + i, left));
    store16_left(out + i, add16(straight, crossed), left);
  }
}

static void turn_halves(const float* x, float* out, std::int64_t pairs, const float* turns) {
  for (std::int64_t i = 0; i < pairs; i += kWide) {
    const std::int64_t left = pairs - i;
    const F32x16 a = load16_left(x + i, left);
    const F32x16 b = load16_left(x + pairs + i, left);
    const F32x16 c = load16_left(turns + i, left);
    const F32x16 s = load16_left(turns + pairs + i, left);
    store16_left(out + i, sub16(mul16(a, c), mul16(b, s)), left);
    store16_left(out + pairs + i, add16(mul16(b, c), mul16(a, s)), left);
  }
}

// One token: each pair of each head turns by the angle that rope_turns computed. Elements from
// rot_dim on are copied. x, out (heads * head_dim); they may be the same.
void rope(const float* x, float* out, std::int64_t heads, std::int64_t head_dim,
          std::int64_t rot_dim, bool interleaved, const float* turns) {
  for (std::int64_t h = 0; h < heads; ++h, x += head_dim, out += head_dim) {
    if (interleaved)
      turn_neighbours(x, out, rot_dim, turns);
    else
      turn_halves(x, out, rot_dim / 2, turns);
    for (std::int64_t i = rot_dim; i < head_dim; ++i) out[i] = x[i];
  }
}

}  // namespace strata::cpu::STRATA_ISA
