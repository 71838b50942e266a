// Units of 256 columns (panels.h). The files hold the bits of several 32-column blocks in one byte,
// the panels those of one block, so that every pass over quants is a transposition of small fields.
#include "backends/cpu/kernels/pack.h"

namespace strata::cpu::STRATA_ISA {

static constexpr int kBlocks = 8;  // of 32 columns
static constexpr int kNibbleBytes = 4 * kGroupBytes;
static constexpr int kPairBytes = 2 * kGroupBytes;
static constexpr int kBitBytes = kGroupBytes;

// 32 bytes of each row at `at`, whose low nibbles are one block and whose high nibbles another.
static inline void pack_nibbles(const std::byte* const* quad, int at, std::byte* low,
                                std::byte* high) {
  Words w[8];
  load_words<2>(quad, at, w);
  for (int v = 0; v < 4; ++v) {
    transpose_nibbles(w[v], w[v + 4]);
    put(low + v * kGroupBytes, w[v]);
    put(high + v * kGroupBytes, w[v + 4]);
  }
}

// 32 bytes of each row at `at`, whose pairs of bits are those of four blocks, `step` bytes apart.
static inline void pack_pairs(const std::byte* const* quad, int at, std::byte* out, int step) {
  Words w[8];
  load_words<2>(quad, at, w);
  for (int v = 0; v < 2; ++v) {
    transpose_pairs(w + 4 * v);
    for (int b = 0; b < 4; ++b) put(out + b * step + v * kGroupBytes, w[4 * v + b]);
  }
}

// 32 bytes of each row at `at`, whose bits are those of eight blocks, `step` bytes apart.
static inline void pack_bits(const std::byte* const* quad, int at, std::byte* out, int step) {
  Words w[8];
  load_words<2>(quad, at, w);
  transpose_bits(w);
  for (int b = 0; b < kBlocks; ++b) put(out + b * step, w[b]);
}

// Bytes at .. at + 15 of each row as they are, [16][16 rows].
static inline void pack_bytes(const std::byte* const* rows, int at, std::byte* out) {
  Bytes bytes[16];
  load_bytes(rows, at, bytes);
  for (int i = 0; i < 16; ++i) put(out + 16 * i, bytes[i]);
}

// Six-bit a, b of Q4_K and Q5_K from s[12]: those of the first four blocks whole in s[j] and
// s[4 + j], of the others the low nibbles in s[4 + j] and the high bits above those of the first.
static inline void put_k_scales(const Bytes* s, std::byte* out) {
  Bytes high[kBlocks];
  for (int j = 0; j < 4; ++j) {
    put(out + 16 * j, (s[j] & 15) | (s[4 + j] << 4));
    put(out + 16 * (4 + j), s[8 + j]);
    high[j] = ((s[j] >> 4) & 3) | ((s[4 + j] >> 2) & 12);
    high[4 + j] = (s[j] >> 6) | ((s[4 + j] >> 4) & 12);
  }
  for (int j = 0; j < 4; ++j) put(out + 16 * (8 + j), high[2 * j] | (high[2 * j + 1] << 4));
}

// d, dmin and six-bit scales and minima, which begin the blocks of Q4_K and Q5_K.
static inline void pack_k_head(const std::byte* const* rows, std::byte* unit) {
  Bytes head[16];
  load_bytes(rows, 0, head);
  put_halves(unit, head[0], head[1]);
  put_halves(unit + 32, head[2], head[3]);
  put_k_scales(head + 4, unit + 64);
}

void pack_q4_k(const std::byte* const* rows, std::byte* unit) {
  pack_k_head(rows, unit);
  std::byte* blocks = unit + 256;
  for (int q = 0; q < kQuads; ++q, rows += kQuad, blocks += kQuadBytes)
    for (int p = 0; p < 4; ++p)
      pack_nibbles(rows, 16 + 32 * p, blocks + 2 * p * kNibbleBytes,
                   blocks + (2 * p + 1) * kNibbleBytes);
}

void pack_q5_k(const std::byte* const* rows, std::byte* unit) {
  constexpr int kStep = kBitBytes + kNibbleBytes;
  pack_k_head(rows, unit);
  std::byte* blocks = unit + 256;
  for (int q = 0; q < kQuads; ++q, rows += kQuad, blocks += kQuadBytes) {
    pack_bits(rows, 16, blocks, kStep);
    for (int p = 0; p < 4; ++p) {
      std::byte* low = blocks + 2 * p * kStep + kBitBytes;
      pack_nibbles(rows, 48 + 32 * p, low, low + kStep);
    }
  }
}

void pack_q6_k(const std::byte* const* rows, std::byte* unit) {
  constexpr int kStep = kPairBytes + kNibbleBytes;
  pack_halves(rows, 208, unit);
  pack_bytes(rows, 192, unit + 32);
  std::byte* blocks = unit + 288;
  for (int q = 0; q < kQuads; ++q, rows += kQuad, blocks += kQuadBytes)
    for (int half = 0; half < 2; ++half) {  // 128 columns: blocks 4 * half .. 4 * half + 3
      std::byte* first = blocks + 4 * half * kStep;
      std::byte* nibbles = first + kPairBytes;
      pack_pairs(rows, 128 + 32 * half, first, kStep);
      pack_nibbles(rows, 64 * half, nibbles, nibbles + 2 * kStep);
      pack_nibbles(rows, 64 * half + 32, nibbles + kStep, nibbles + 3 * kStep);
    }
}

void pack_q2_k(const std::byte* const* rows, std::byte* unit) {
  pack_halves(rows, 80, unit);
  pack_halves(rows, 82, unit + 32);
  pack_bytes(rows, 0, unit + 64);
  std::byte* blocks = unit + 320;
  for (int q = 0; q < kQuads; ++q, rows += kQuad, blocks += kQuadBytes)
    for (int half = 0; half < 2; ++half)
      pack_pairs(rows, 16 + 32 * half, blocks + 4 * half * kPairBytes, kPairBytes);
}

// Six-bit a, b of Q3_K from s[12]: low nibbles of sixteenth i < 8 in s[i], of 8 + i above it, and
// pairs of high bits of i, i + 4, i + 8, i + 12 in s[8 + i].
static inline void put_q3_scales(const Bytes* s, std::byte* out) {
  for (int j = 0; j < 4; ++j) {
    const Bytes a = s[2 * j], b = s[2 * j + 1];
    put(out + 16 * j, (a & 15) | (b << 4));
    put(out + 16 * (4 + j), (a >> 4) | (b & 0xf0));
  }
  // Blocks 2j and 2j + 1 have sixteenths 4j .. 4j + 3.
  for (int j = 0; j < 4; ++j) {
    Bytes high = {};
    for (int i = 0; i < 4; ++i) high |= ((s[8 + i] >> (2 * j)) & 3) << (2 * i);
    put(out + 16 * (8 + j), high);
  }
}

void pack_q3_k(const std::byte* const* rows, std::byte* unit) {
  constexpr int kStep = kBitBytes + kPairBytes;
  Bytes tail[16];  // the last two bytes of the quants, 12 of scales, d
  load_bytes(rows, 94, tail);
  put_halves(unit, tail[14], tail[15]);
  put_q3_scales(tail + 2, unit + 32);
  std::byte* blocks = unit + 224;
  for (int q = 0; q < kQuads; ++q, rows += kQuad, blocks += kQuadBytes) {
    pack_bits(rows, 0, blocks, kStep);
    for (int half = 0; half < 2; ++half)
      pack_pairs(rows, 32 + 32 * half, blocks + 4 * half * kStep + kBitBytes, kStep);
  }
}

void pack_iq4_xs(const std::byte* const* rows, std::byte* unit) {
  Bytes head[16];  // d, 2 bytes of high bits, 4 of low nibbles, quants
  load_bytes(rows, 0, head);
  put_halves(unit, head[0], head[1]);
  for (int j = 0; j < 4; ++j) put(unit + 32 + 16 * j, head[4 + j]);
  for (int j = 0; j < 2; ++j) put(unit + 96 + 16 * j, head[2 + j]);
  std::byte* blocks = unit + 128;
  for (int q = 0; q < kQuads; ++q, rows += kQuad, blocks += kQuadBytes) {
    for (int b = 0; b < kBlocks; ++b) {
      Words w[4];
      load_words<1>(rows, 8 + 16 * b, w);
      for (int v = 0; v < 4; ++v) put(blocks + b * kNibbleBytes + v * kGroupBytes, w[v]);
    }
  }
}

}  // namespace strata::cpu::STRATA_ISA
