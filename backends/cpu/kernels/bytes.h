#pragma once

// Vectors of 64 bytes, [16 rows][4 bytes], and their products with 4 activations, for every
// instruction set: what the integer matmuls are written in. One of the headers below defines
//   U8x64      64 bytes: one AVX-512 register, two of AVX2, four of 16 bytes elsewhere
//   I32x16     a 32-bit number per row
//   Four       4 activations, copied as often as a register wants them
// and the functions
//   load64, store64, fill64(byte), and64, add64, sub64
//   mix64(a, mask, b)     (a & mask) | b
//   shl64<N>, shr64<N>    shifts of 16-bit lanes: mask what came over from the other byte
//   lookup64(table, i)    byte i, below 16, of the same 16 bytes of the table
//   full64(w)             from value + 128 to what Dots<kFull> multiplies
//   four_at(p)            the 4 activations at p
//   set32(a), sar32<N>    the same number for all rows; shift to the right with sign
//   to_f32, row_bytes_f32, row_codes_f32 (16 bytes, unsigned or signed, as floats)
//   Dots<Max, Groups>     sums of products with weights of 0 .. Max, or of 8 bits for kFull:
//     begin(start), step<G>(w, x) for G = 0 .. Groups - 1 in this order, end()
// Integer sums are exact, hence the same everywhere.

#include "backends/cpu/kernels/simd.h"

namespace strata::cpu::STRATA_ISA {

static constexpr int kFull = 255;

// One byte per row; the compiler's vector notation works on it.
typedef std::uint8_t U8x16 __attribute__((vector_size(16)));

static inline U8x16 load_u8(const std::byte* p) {
  U8x16 v;
  __builtin_memcpy(&v, p, sizeof(v));
  return v;
}

}  // namespace strata::cpu::STRATA_ISA

#if defined(__AVX512VNNI__)
#include "backends/cpu/kernels/bytes_avx512.h"
#elif defined(__AVX2__)
#include "backends/cpu/kernels/bytes_avx2.h"
#else
#include "backends/cpu/kernels/bytes_generic.h"
#endif
