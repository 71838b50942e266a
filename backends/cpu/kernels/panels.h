#pragma once

// Layout::panels16 and Layout::quantized, as every instruction set reads them.
//
// A panel is 16 rows of w, whole; the last one of a matrix is padded with rows that are zero bytes
// in the file. It takes exactly the bytes of its 16 rows in the file. What the 16 rows have for the
// same columns lies together, in column order, one unit after the other: a unit is one block of the
// dtype, 32 or 256 columns wide. Notation: [a][b][c] are nested arrays, outermost first; "vector"
// is 64 bytes, [16 rows][4 bytes]; column group g of a 32-column block is its columns 4g .. 4g + 3.
//
// Quants of a 32-column block:
//   bytes    8 vectors, one per group: the value + 128. Q8_0.
//   nibbles  4 vectors: byte i of row r of vector v holds column 4v + i (low nibble) and column
//            16 + 4v + i (high nibble), so that vectors give groups v (low) and 4 + v (high).
//   bit      1 vector: bit g of byte i of row r belongs to column 4g + i.
//   pairs    2 vectors: bits 2j, 2j + 1 of byte i of row r of vector v belong to column
//            16v + 4j + i.
// Units:
//   Q8_0     f16 d[16]; bytes (w + 128)
//   Q4_0     f16 d[16]; nibbles (w + 8)
//   IQ4_NL   f16 d[16]; nibbles (index into the codebook)
//   MXFP4    u8 e[16] (the file's exponents); nibbles (index into the codebook)
//   Q4_1     f16 d[16]; f16 m[16]; nibbles
//   Q5_0     f16 d[16]; bit (bit 4 of w + 16); nibbles
//   Q5_1     f16 d[16]; f16 m[16]; bit (bit 4); nibbles
//   Q2_K     f16 d[16]; f16 dmin[16]; u8 sm[16 sixteenths][16 rows] (scale | min << 4);
//            8 x pairs
//   Q3_K     f16 d[16]; six-bit a, b; 8 x { bit (bit 2); pairs (bits 0, 1) } (w + 4)
//   Q4_K     f16 d[16]; f16 dmin[16]; six-bit a, b; 8 x nibbles
//   Q5_K     f16 d[16]; f16 dmin[16]; six-bit a, b; 8 x { bit (bit 4); nibbles }
//   Q6_K     f16 d[16]; i8 s[16 sixteenths][16 rows]; 8 x { pairs (bits 4, 5); nibbles } (w + 32)
//   IQ4_XS   f16 d[16]; u8 low[4][16 rows] (low nibble: low bits of the scale of block 2j, high:
//            of 2j + 1); u8 high[2][16 rows] (bits 2i, 2i + 1: high bits of the scale of block
//            4j + i); 8 x nibbles
// A "sixteenth" is 16 of a unit's 256 columns. Six-bit a, b: two numbers per 32-column block j:
//   u8 low[8][16 rows] (a & 15 | (b & 15) << 4);
//   u8 high[4][16 rows] (of block 2j in the low nibble, 2j + 1 in the high: a >> 4 | (b >> 4) << 2)
// Q4_K, Q5_K: a scale, b min. Q3_K: a, b the scales (+ 32) of the block's two sixteenths.
//
// A row of Layout::quantized, for k columns:
//   i8 values[k]; f32 scales[k / 32]; i32 sums[k / 32]; i32 halves[k / 16]
// with sums and halves -128 times the sum of the values: what an unsigned weight's offset of 128
// adds too much, and by an exact shift what any smaller power of two does.

#include "backends/cpu/kernels/simd.h"

namespace strata::cpu::STRATA_ISA {

static constexpr int kRows = 16;
static constexpr int kBlock = 32;              // columns
static constexpr int kGroupBytes = 4 * kRows;  // 4 bytes of each row

// What one block of a dtype holds; units have the same columns. Not dtype_info(): isa.h says why.
struct BlockSize {
  std::int64_t columns;
  std::int64_t bytes;
};
static constexpr BlockSize kBlockSizes[] = {
#define STRATA_DTYPE(name, gguf_id, block_elements, block_bytes) {block_elements, block_bytes},
#include "runtime/core/dtype.def"
#undef STRATA_DTYPE
};
static constexpr BlockSize block_size(DType dtype) { return kBlockSizes[static_cast<int>(dtype)]; }

// Bytes of a panel of `columns`.
static inline std::int64_t panel_bytes(DType dtype, std::int64_t columns) {
  const BlockSize block = block_size(dtype);
  return columns / block.columns * block.bytes * kRows;
}

// A row of Layout::quantized.
struct QuantizedRow {
  const std::int8_t* values;
  const float* scales;
  const std::int32_t* sums;    // of 32 columns, times -128
  const std::int32_t* halves;  // of 16 columns, times -128
};

static inline QuantizedRow quantized_row(const std::byte* row, std::int64_t columns) {
  const std::int64_t blocks = columns / kBlock;
  const std::byte* scales = row + columns;
  return {reinterpret_cast<const std::int8_t*>(row), reinterpret_cast<const float*>(scales),
          reinterpret_cast<const std::int32_t*>(scales + 4 * blocks),
          reinterpret_cast<const std::int32_t*>(scales + 8 * blocks)};
}

}  // namespace strata::cpu::STRATA_ISA
