#pragma once

// bytes.h for AVX-512 with VNNI.

#include "backends/cpu/kernels/bytes.h"

namespace strata::cpu::STRATA_ISA {

struct U8x64 {
  __m512i v;
};
struct I32x16 {
  __m512i v;
};
struct Four {
  __m512i v;
};

static inline U8x64 load64(const std::byte* p) { return {_mm512_loadu_si512(p)}; }
static inline void store64(std::byte* p, U8x64 a) { _mm512_storeu_si512(p, a.v); }
static inline U8x64 fill64(int byte) { return {_mm512_set1_epi8(static_cast<char>(byte))}; }
static inline U8x64 and64(U8x64 a, U8x64 b) { return {_mm512_and_si512(a.v, b.v)}; }
static inline U8x64 add64(U8x64 a, U8x64 b) { return {_mm512_add_epi8(a.v, b.v)}; }
static inline U8x64 sub64(U8x64 a, U8x64 b) { return {_mm512_sub_epi8(a.v, b.v)}; }
static inline U8x64 mix64(U8x64 a, U8x64 mask, U8x64 b) {
  return {_mm512_ternarylogic_epi32(a.v, mask.v, b.v, 0xea)};
}
template <int N>
static inline U8x64 shl64(U8x64 a) {
  return {_mm512_slli_epi16(a.v, static_cast<unsigned>(N))};
}
template <int N>
static inline U8x64 shr64(U8x64 a) {
  return {_mm512_srli_epi16(a.v, static_cast<unsigned>(N))};
}
static inline U8x64 lookup64(U8x64 table, U8x64 i) { return {_mm512_shuffle_epi8(table.v, i.v)}; }

// 16 bytes four times over.
static inline U8x64 repeat64(const std::uint8_t* p) {
  return {_mm512_broadcast_i32x4(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)))};
}
// Byte r of `rows` as all four bytes of row r.
static inline U8x64 each_row64(U8x16 rows) {
  const __m512i wide = _mm512_cvtepu8_epi32((__m128i)rows);
  return {_mm512_shuffle_epi8(
      wide, _mm512_broadcast_i32x4(_mm_set_epi32(0x0c0c0c0c, 0x08080808, 0x04040404, 0)))};
}

// vpdpbusd multiplies unsigned weights: value + 128 stays.
static constexpr bool kFullIsSigned = false;
static inline U8x64 full64(U8x64 a) { return a; }

static inline Four four_at(const std::byte* p) {
  std::int32_t four;
  __builtin_memcpy(&four, p, sizeof(four));
  return {_mm512_set1_epi32(four)};
}

static inline I32x16 set32(std::int32_t a) { return {_mm512_set1_epi32(a)}; }
template <int N>
static inline I32x16 sar32(I32x16 a) {
  return {_mm512_srai_epi32(a.v, N)};
}
static inline F32x16 to_f32(I32x16 a) { return {_mm512_cvtepi32_ps(a.v)}; }
static inline F32x16 row_bytes_f32(U8x16 rows) {
  return {_mm512_cvtepi32_ps(_mm512_cvtepu8_epi32((__m128i)rows))};
}
static inline F32x16 row_codes_f32(U8x16 rows) {
  return {_mm512_cvtepi32_ps(_mm512_cvtepi8_epi32((__m128i)rows))};
}

namespace {
template <int Max, int Groups>
struct Dots {
  __m512i sums;
  void begin(I32x16 start) { sums = start.v; }
  template <int>
  void step(U8x64 w, Four x) {
    sums = _mm512_dpbusd_epi32(sums, w.v, x.v);
  }
  I32x16 end() const { return {sums}; }
};
}  // namespace

}  // namespace strata::cpu::STRATA_ISA
