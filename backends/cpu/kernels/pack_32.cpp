// Units of 32 columns (panels.h): fields of each row's block side by side.
#include "backends/cpu/kernels/pack.h"

namespace strata::cpu::STRATA_ISA {

// 16 * Loads bytes of each row from byte `at` on, as Loads * 4 vectors, with `flip` in every word.
template <int Loads>
static inline void pack_words(const std::byte* const* rows, int at, std::byte* out,
                              std::uint32_t flip) {
  for (int q = 0; q < kQuads; ++q, rows += kQuad, out += kQuadBytes) {
    Words words[4 * Loads];
    load_words<Loads>(rows, at, words);
    for (int v = 0; v < 4 * Loads; ++v) put(out + v * kGroupBytes, words[v] ^ flip);
  }
}

// The fifth bits of 32 columns: bit 4g + i of a row's word becomes bit 8i + g. In numbers of bits
// that turns (i0 i1 g0 g1 g2) into (g0 g1 g2 i0 i1), lowest first, by exchanging two at a time.
static inline void pack_bits(const std::byte* const* rows, int at, std::byte* out) {
  auto step = [](Words& w, int shift, std::uint32_t mask) {
    const Words t = (w ^ (w >> shift)) & mask;
    w ^= t ^ (t << shift);
  };
  for (int q = 0; q < kQuads; ++q, rows += kQuad, out += kQuadBytes) {
    Words w = load_word(rows, at);
    step(w, 3, 0x0a0a0a0au);   // 0 and 2
    step(w, 6, 0x00cc00ccu);   // 1 and 3
    step(w, 12, 0x0000f0f0u);  // 2 and 4
    step(w, 8, 0x0000ff00u);   // 3 and 4
    put(out, w);
  }
}

void pack_q8_0(const std::byte* const* rows, std::byte* unit) {
  pack_halves(rows, 0, unit);
  pack_words<2>(rows, 2, unit + 32, 0x80808080u);
}

void pack_q4_0(const std::byte* const* rows, std::byte* unit) {
  pack_halves(rows, 0, unit);
  pack_words<1>(rows, 2, unit + 32, 0);
}

void pack_iq4_nl(const std::byte* const* rows, std::byte* unit) { pack_q4_0(rows, unit); }

void pack_mxfp4(const std::byte* const* rows, std::byte* unit) {
  for (int r = 0; r < kRows; ++r) unit[r] = rows[r][0];
  pack_words<1>(rows, 1, unit + 16, 0);
}

void pack_q4_1(const std::byte* const* rows, std::byte* unit) {
  pack_halves(rows, 0, unit);
  pack_halves(rows, 2, unit + 32);
  pack_words<1>(rows, 4, unit + 64, 0);
}

void pack_q5_0(const std::byte* const* rows, std::byte* unit) {
  pack_halves(rows, 0, unit);
  pack_bits(rows, 2, unit + 32);
  pack_words<1>(rows, 6, unit + 96, 0);
}

void pack_q5_1(const std::byte* const* rows, std::byte* unit) {
  pack_halves(rows, 0, unit);
  pack_halves(rows, 2, unit + 32);
  pack_bits(rows, 4, unit + 64);
  pack_words<1>(rows, 8, unit + 128, 0);
}

}  // namespace strata::cpu::STRATA_ISA
