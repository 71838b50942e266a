#pragma once

// bytes.h in the compiler's vectors of 16 bytes; NEON's table look-ups and dot products where they
// are.

#include "backends/cpu/kernels/bytes.h"

#if defined(__SSE2__)
#include <emmintrin.h>
#elif defined(__ARM_NEON)
#include <arm_neon.h>
#endif

namespace strata::cpu::STRATA_ISA {

typedef std::uint16_t U16x8 __attribute__((vector_size(16)));
typedef std::int32_t I32x4 __attribute__((vector_size(16)));

struct U8x64 {
  U8x16 v[4];
};
struct I32x16 {
  I32x4 v[4];
};
static inline U8x64 load64(const std::byte* p) {
  U8x64 a;
  __builtin_memcpy(&a, p, sizeof(a));
  return a;
}
static inline void store64(std::byte* p, U8x64 a) { __builtin_memcpy(p, &a, sizeof(a)); }
static inline U8x64 fill64(int byte) {
  const U8x16 v = U8x16{} + static_cast<std::uint8_t>(byte);
  return {{v, v, v, v}};
}
static inline U8x64 and64(U8x64 a, U8x64 b) {
  return {{a.v[0] & b.v[0], a.v[1] & b.v[1], a.v[2] & b.v[2], a.v[3] & b.v[3]}};
}
static inline U8x64 add64(U8x64 a, U8x64 b) {
  return {{a.v[0] + b.v[0], a.v[1] + b.v[1], a.v[2] + b.v[2], a.v[3] + b.v[3]}};
}
static inline U8x64 sub64(U8x64 a, U8x64 b) {
  return {{a.v[0] - b.v[0], a.v[1] - b.v[1], a.v[2] - b.v[2], a.v[3] - b.v[3]}};
}
static inline U8x64 mix64(U8x64 a, U8x64 mask, U8x64 b) {
  for (int i = 0; i < 4; ++i) a.v[i] = (a.v[i] & mask.v[i]) | b.v[i];
  return a;
}
template <int N>
static inline U8x64 shl64(U8x64 a) {
  for (int i = 0; i < 4; ++i) a.v[i] = (U8x16)((U16x8)a.v[i] << N);
  return a;
}
template <int N>
static inline U8x64 shr64(U8x64 a) {
  for (int i = 0; i < 4; ++i) a.v[i] = (U8x16)((U16x8)a.v[i] >> N);
  return a;
}
#if defined(__ARM_NEON)
static inline U8x64 lookup64(U8x64 table, U8x64 i) {
  for (int part = 0; part < 4; ++part)
    i.v[part] = (U8x16)vqtbl1q_u8((uint8x16_t)table.v[part], (uint8x16_t)i.v[part]);
  return i;
}
#else
// Byte by byte, and out of line: inlined, the compiler would take minutes over it.
__attribute__((noinline)) static void lookup_bytes(const std::uint8_t* table, std::uint8_t* i) {
  for (int b = 0; b < 64; ++b) i[b] = table[(b & ~15) + i[b]];
}
static inline U8x64 lookup64(const U8x64& table, U8x64 i) {
  lookup_bytes(reinterpret_cast<const std::uint8_t*>(&table), reinterpret_cast<std::uint8_t*>(&i));
  return i;
}
#endif

// 16 bytes four times over.
static inline U8x64 repeat64(const std::uint8_t* p) {
  U8x16 v;
  __builtin_memcpy(&v, p, sizeof(v));
  return {{v, v, v, v}};
}
// Byte r of `rows` as all four bytes of row r.
static inline U8x64 each_row64(U8x16 rows) {
  return {{__builtin_shuffle(rows, U8x16{0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3}),
           __builtin_shuffle(rows, U8x16{4, 4, 4, 4, 5, 5, 5, 5, 6, 6, 6, 6, 7, 7, 7, 7}),
           __builtin_shuffle(rows, U8x16{8, 8, 8, 8, 9, 9, 9, 9, 10, 10, 10, 10, 11, 11, 11, 11}),
           __builtin_shuffle(
               rows, U8x16{12, 12, 12, 12, 13, 13, 13, 13, 14, 14, 14, 14, 15, 15, 15, 15})}};
}

static inline I32x16 set32(std::int32_t a) {
  const I32x4 v = I32x4{} + a;
  return {{v, v, v, v}};
}
template <int N>
static inline I32x16 sar32(I32x16 a) {
  for (int i = 0; i < 4; ++i) a.v[i] >>= N;
  return a;
}
static inline F32x16 to_f32(I32x16 a) {
  typedef float Floats __attribute__((vector_size(16)));
  Floats parts[4];
  for (int i = 0; i < 4; ++i) parts[i] = __builtin_convertvector(a.v[i], Floats);
  F32x16 all;
  __builtin_memcpy(&all, parts, sizeof(all));
  return all;
}
static inline F32x16 row_bytes_f32(U8x16 rows) {
  const U8x64 wide = each_row64(rows);
  I32x16 values;
  for (int i = 0; i < 4; ++i) values.v[i] = (I32x4)wide.v[i] & 255;
  return to_f32(values);
}
static inline F32x16 row_codes_f32(U8x16 rows) {
  const U8x64 wide = each_row64(rows);
  I32x16 values;
  for (int i = 0; i < 4; ++i) values.v[i] = (I32x4)wide.v[i] >> 24;
  return to_f32(values);
}

#if defined(__ARM_FEATURE_DOTPROD)

struct Four {
  int8x16_t v;
};
static inline Four four_at(const std::byte* p) {
  std::int32_t four;
  __builtin_memcpy(&four, p, sizeof(four));
  return {vreinterpretq_s8_s32(vdupq_n_s32(four))};
}

#if defined(__ARM_FEATURE_MATMUL_INT8)
static constexpr bool kFullIsSigned = false;
static inline U8x64 full64(U8x64 a) { return a; }
static inline I32x4 dot_part(I32x4 sums, U8x16 w, Four x) {
  return (I32x4)vusdotq_s32((int32x4_t)sums, (uint8x16_t)w, x.v);
}
#else
// sdot multiplies signed weights, which those below 128 are as they stand.
static constexpr bool kFullIsSigned = true;
static inline U8x64 full64(U8x64 a) {
  for (int i = 0; i < 4; ++i) a.v[i] ^= 0x80;
  return a;
}
static inline I32x4 dot_part(I32x4 sums, U8x16 w, Four x) {
  return (I32x4)vdotq_s32((int32x4_t)sums, (int8x16_t)w, x.v);
}
#endif

#else

// Activations 0 and 2, and 1 and 3, as pairs of int16.
struct Four {
  I32x4 even, odd;
};

static constexpr bool kFullIsSigned = false;
static inline U8x64 full64(U8x64 a) { return a; }

static inline Four four_at(const std::byte* p) {
  std::int8_t a[4];
  __builtin_memcpy(a, p, sizeof(a));
  const std::int32_t even = (a[0] & 0xffff) | (a[2] * 65536);
  const std::int32_t odd = (a[1] & 0xffff) | (a[3] * 65536);
  return {I32x4{} + even, I32x4{} + odd};
}

// Sums of the products of the two int16 of each lane.
static inline I32x4 pair_dot(I32x4 a, I32x4 b) {
#if defined(__SSE2__)
  return (I32x4)_mm_madd_epi16((__m128i)a, (__m128i)b);
#else
  return (a << 16 >> 16) * (b << 16 >> 16) + (a >> 16) * (b >> 16);
#endif
}

static inline I32x4 dot_part(I32x4 sums, U8x16 w, Four x) {
  const I32x4 even = (I32x4)w & 0x00ff00ff;
  const I32x4 odd = (I32x4)((U16x8)w >> 8);
  return sums + pair_dot(even, x.even) + pair_dot(odd, x.odd);
}

#endif

namespace {
template <int Max, int Groups>
struct Dots {
  I32x16 sums;
  void begin(I32x16 start) { sums = start; }
  template <int>
  void step(U8x64 w, Four x) {
    for (int i = 0; i < 4; ++i) sums.v[i] = dot_part(sums.v[i], w.v[i], x);
  }
  I32x16 end() const { return sums; }
};
}  // namespace

}  // namespace strata::cpu::STRATA_ISA
