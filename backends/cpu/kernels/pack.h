#pragma once

// What packing is made of, for panels.cpp, pack_32.cpp and pack_k.cpp: vectors of 16 bytes that
// every instruction set has, so that one source gives the same bytes on all of them. A "quad" is
// four rows, Words one 4-byte word of each of them: a quarter of the 64-byte vectors of panels.h.

#include "backends/cpu/kernels/bytes16.h"
#include "backends/cpu/kernels/panels.h"

namespace strata::cpu::STRATA_ISA {

// One function per block dtype: the same block of 16 rows, which begin at rows[0] .. rows[15], into
// one unit of a panel. Blocks need no alignment.
using PackUnit = void(const std::byte* const* rows, std::byte* unit);
PackUnit pack_q8_0, pack_q4_0, pack_q4_1, pack_q5_0, pack_q5_1, pack_iq4_nl, pack_mxfp4;
PackUnit pack_q2_k, pack_q3_k, pack_q4_k, pack_q5_k, pack_q6_k, pack_iq4_xs;

static constexpr int kQuad = 4;  // rows
static constexpr int kQuads = kRows / kQuad;
static constexpr int kQuadBytes = 4 * kQuad;  // of a quad in a 64-byte vector

static inline Words words_at(const std::byte* p) {
  Words words;
  __builtin_memcpy(&words, p, sizeof(words));
  return words;
}

static inline void put(std::byte* p, Bytes bytes) { __builtin_memcpy(p, &bytes, sizeof(bytes)); }
static inline void put(std::byte* p, Words words) { __builtin_memcpy(p, &words, sizeof(words)); }

// Words 0 .. 4 * Loads of each row of a quad, from byte `at` on.
template <int Loads>
static inline void load_words(const std::byte* const* quad, int at, Words* out) {
  for (int i = 0; i < Loads; ++i, at += 16, out += 4) {
    const Words r0 = words_at(quad[0] + at), r1 = words_at(quad[1] + at);
    const Words r2 = words_at(quad[2] + at), r3 = words_at(quad[3] + at);
    const Words a = low_in_turn(r0, r2), b = low_in_turn(r1, r3);
    const Words c = high_in_turn(r0, r2), d = high_in_turn(r1, r3);
    out[0] = low_in_turn(a, b);
    out[1] = high_in_turn(a, b);
    out[2] = low_in_turn(c, d);
    out[3] = high_in_turn(c, d);
  }
}

// One word of each row of a quad.
static inline Words load_word(const std::byte* const* quad, int at) {
  std::uint32_t words[kQuad];
  for (int r = 0; r < kQuad; ++r) __builtin_memcpy(&words[r], quad[r] + at, 4);
  return words_at(reinterpret_cast<const std::byte*>(words));
}

// Bytes at .. at + 15 of 16 rows: out[i] has byte i of each. Four times in turn is a transposition.
static inline void load_bytes(const std::byte* const* rows, int at, Bytes* out) {
  Bytes a[16], b[16];
  for (int r = 0; r < kRows; ++r) a[r] = bytes_at(rows[r] + at);
  for (int twice = 0; twice < 2; ++twice) {
    for (int i = 0; i < 8; ++i) {
      b[2 * i] = low_in_turn(a[i], a[i + 8]);
      b[2 * i + 1] = high_in_turn(a[i], a[i + 8]);
    }
    for (int i = 0; i < 8; ++i) {
      a[2 * i] = low_in_turn(b[i], b[i + 8]);
      a[2 * i + 1] = high_in_turn(b[i], b[i + 8]);
    }
  }
  for (int i = 0; i < 16; ++i) out[i] = a[i];
}

// An f16 field of 16 rows.
static inline void pack_halves(const std::byte* const* rows, int at, std::byte* out) {
  for (int r = 0; r < kRows; ++r) __builtin_memcpy(out + 2 * r, rows[r] + at, 2);
}

// An f16 field of 16 rows, given its low and its high bytes.
static inline void put_halves(std::byte* out, Bytes low, Bytes high) {
  put(out, low_in_turn(low, high));
  put(out + 16, high_in_turn(low, high));
}

// Exchanges the bits of a at `mask << shift` with the bits of b at `mask`.
static inline void exchange(Words& a, Words& b, int shift, std::uint32_t mask) {
  const Words t = ((a >> shift) ^ b) & mask;
  b ^= t;
  a ^= t << shift;
}

// Transpositions of small fields within bytes. w[i] has field j of row r at place j; afterwards
// w[j] has it at place i.
static inline void transpose_nibbles(Words& w0, Words& w1) { exchange(w0, w1, 4, 0x0f0f0f0fu); }

static inline void transpose_pairs(Words* w) {  // w[4]
  for (int i = 0; i < 2; ++i) exchange(w[i], w[i + 2], 4, 0x0f0f0f0fu);
  for (int i = 0; i < 4; i += 2) exchange(w[i], w[i + 1], 2, 0x33333333u);
}

static inline void transpose_bits(Words* w) {  // w[8]
  for (int i = 0; i < 4; ++i) exchange(w[i], w[i + 4], 4, 0x0f0f0f0fu);
  for (int i = 0; i < 8; i += i % 4 == 1 ? 3 : 1) exchange(w[i], w[i + 2], 2, 0x33333333u);
  for (int i = 0; i < 8; i += 2) exchange(w[i], w[i + 1], 1, 0x55555555u);
}

}  // namespace strata::cpu::STRATA_ISA
