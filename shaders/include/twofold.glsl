// Numbers as sums of two floats (high, low): about 48 bits, from plain additions and products that
// round to nearest (Dekker 1971). `precise` keeps compilers from simplifying them.

const float kSplitter = 4097.0;  // 2^12 + 1

// a + b for |a| >= |b|.
vec2 ordered_sum(float a, float b) {
  precise float sum = a + b;
  precise float lost = b - (sum - a);
  return vec2(sum, lost);
}

vec2 exact_sum(float a, float b) {
  precise float sum = a + b;
  precise float part = sum - a;
  precise float lost = (a - (sum - part)) + (b - part);
  return vec2(sum, lost);
}

vec2 exact_product(float a, float b) {
  precise float product = a * b;
  precise float as = kSplitter * a;
  precise float bs = kSplitter * b;
  precise float ah = as - (as - a);
  precise float bh = bs - (bs - b);
  precise float al = a - ah;
  precise float bl = b - bh;
  precise float lost = ((ah * bh - product) + ah * bl + al * bh) + al * bl;
  return vec2(product, lost);
}

vec2 twofold_sum(vec2 a, vec2 b) {
  const vec2 sum = exact_sum(a.x, b.x);
  precise float low = sum.y + (a.y + b.y);
  return ordered_sum(sum.x, low);
}

vec2 twofold_product(vec2 a, vec2 b) {
  const vec2 product = exact_product(a.x, b.x);
  precise float low = product.y + (a.x * b.y + a.y * b.x);
  return ordered_sum(product.x, low);
}

// The power of two that both x and what is 2^36 times smaller may be multiplied with.
float middle_of(float x) { return abs(x) > 1.0 ? 5.42101086e-20 : 1.84467441e19; }

// a / b rounded to nearest, for 2^-120 < a < infinity and 1 <= b <= 2^23: a device's own quotient
// may be off by more than a unit, and what it lost is known exactly.
float divided(float a, float b) {
  const float shift = middle_of(a);
  precise float scaled = a * shift;
  precise float q = scaled / b;
  const vec2 back = exact_product(q, b);
  precise float rest = ((scaled - back.x) - back.y) / b;
  precise float rounded = q + rest;
  precise float result = rounded * (abs(a) > 1.0 ? 1.84467441e19 : 5.42101086e-20);
  return result;
}

// a / b for a whole number 1 <= a <= 2^23.
float divided_by(float a, float b) {
  const float shift = middle_of(b);
  precise float scaled = b * shift;
  precise float q = a / scaled;
  const vec2 back = exact_product(q, scaled);
  precise float rest = ((a - back.x) - back.y) / scaled;
  precise float rounded = q + rest;
  precise float result = rounded * shift;
  return result;
}
