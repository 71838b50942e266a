#include "backends/cpu/kernels/isa.h"

namespace strata::cpu::STRATA_ISA {

// One token: pair i of each head turns by the angle whose cosine and sine are turns[2i] and
// turns[2i + 1]. Pairs lie `partner` apart, and pair i begins at element i * step. Elements from
// rot_dim on are copied. x, out (heads * head_dim); they may be the same.
static void rotate_head(const float* x, float* out, std::int64_t pairs, std::int64_t step,
                        std::int64_t partner, const float* turns) {
  for (std::int64_t i = 0; i < pairs; ++i) {
    const float a = x[i * step];
    const float b = x[i * step + partner];
    const float c = turns[2 * i];
    const float s = turns[2 * i + 1];
    out[i * step] = a * c - b * s;
    out[i * step + partner] = b * c + a * s;
  }
}

void rope(const float* x, float* out, std::int64_t heads, std::int64_t head_dim,
          std::int64_t rot_dim, bool interleaved, const float* turns) {
  const std::int64_t pairs = rot_dim / 2;
  for (std::int64_t h = 0; h < heads; ++h, x += head_dim, out += head_dim) {
    if (interleaved)
      rotate_head(x, out, pairs, 2, 1, turns);
    else
      rotate_head(x, out, pairs, 1, pairs, turns);
    for (std::int64_t i = rot_dim; i < head_dim; ++i) out[i] = x[i];
  }
}

}  // namespace strata::cpu::STRATA_ISA
