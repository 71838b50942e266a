#pragma once

// bytes.h for AVX2, with or without AVX-VNNI.

#include "backends/cpu/kernels/bytes.h"

namespace strata::cpu::STRATA_ISA {

struct U8x64 {
  __m256i lo, hi;
};
struct I32x16 {
  __m256i lo, hi;
};
struct Four {
  __m256i v;
};

static inline const __m256i* ymm_at(const std::byte* p) {
  return reinterpret_cast<const __m256i*>(p);
}
static inline U8x64 load64(const std::byte* p) {
  return {_mm256_loadu_si256(ymm_at(p)), _mm256_loadu_si256(ymm_at(p + 32))};
}
static inline void store64(std::byte* p, U8x64 a) {
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), a.lo);
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(p + 32), a.hi);
}
static inline U8x64 fill64(int byte) {
  const __m256i v = _mm256_set1_epi8(static_cast<char>(byte));
  return {v, v};
}
static inline U8x64 and64(U8x64 a, U8x64 b) {
  return {_mm256_and_si256(a.lo, b.lo), _mm256_and_si256(a.hi, b.hi)};
}
static inline U8x64 add64(U8x64 a, U8x64 b) {
  return {_mm256_add_epi8(a.lo, b.lo), _mm256_add_epi8(a.hi, b.hi)};
}
static inline U8x64 sub64(U8x64 a, U8x64 b) {
  return {_mm256_sub_epi8(a.lo, b.lo), _mm256_sub_epi8(a.hi, b.hi)};
}
static inline U8x64 mix64(U8x64 a, U8x64 mask, U8x64 b) {
  return {_mm256_or_si256(_mm256_and_si256(a.lo, mask.lo), b.lo),
          _mm256_or_si256(_mm256_and_si256(a.hi, mask.hi), b.hi)};
}
template <int N>
static inline U8x64 shl64(U8x64 a) {
  return {_mm256_slli_epi16(a.lo, N), _mm256_slli_epi16(a.hi, N)};
}
template <int N>
static inline U8x64 shr64(U8x64 a) {
  return {_mm256_srli_epi16(a.lo, N), _mm256_srli_epi16(a.hi, N)};
}
static inline U8x64 lookup64(U8x64 table, U8x64 i) {
  return {_mm256_shuffle_epi8(table.lo, i.lo), _mm256_shuffle_epi8(table.hi, i.hi)};
}

// 16 bytes four times over.
static inline U8x64 repeat64(const std::uint8_t* p) {
  const __m256i v =
      _mm256_broadcastsi128_si256(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
  return {v, v};
}
// Byte r of `rows` as all four bytes of row r.
static inline U8x64 each_row64(U8x16 rows) {
  const __m256i copy =
      _mm256_broadcastsi128_si256(_mm_set_epi32(0x0c0c0c0c, 0x08080808, 0x04040404, 0));
  const __m128i low = (__m128i)rows;
  return {_mm256_shuffle_epi8(_mm256_cvtepu8_epi32(low), copy),
          _mm256_shuffle_epi8(_mm256_cvtepu8_epi32(_mm_srli_si128(low, 8)), copy)};
}

static inline Four four_at(const std::byte* p) {
  std::int32_t four;
  __builtin_memcpy(&four, p, sizeof(four));
  return {_mm256_set1_epi32(four)};
}

static inline I32x16 set32(std::int32_t a) { return {_mm256_set1_epi32(a), _mm256_set1_epi32(a)}; }
template <int N>
static inline I32x16 sar32(I32x16 a) {
  return {_mm256_srai_epi32(a.lo, N), _mm256_srai_epi32(a.hi, N)};
}
static inline F32x16 to_f32(I32x16 a) {
  return {_mm256_cvtepi32_ps(a.lo), _mm256_cvtepi32_ps(a.hi)};
}
static inline F32x16 row_bytes_f32(U8x16 rows) {
  const __m128i v = (__m128i)rows;
  return to_f32({_mm256_cvtepu8_epi32(v), _mm256_cvtepu8_epi32(_mm_srli_si128(v, 8))});
}
static inline F32x16 row_codes_f32(U8x16 rows) {
  const __m128i v = (__m128i)rows;
  return to_f32({_mm256_cvtepi8_epi32(v), _mm256_cvtepi8_epi32(_mm_srli_si128(v, 8))});
}

#if defined(__AVXVNNI__)

static constexpr bool kFullIsSigned = false;
static inline U8x64 full64(U8x64 a) { return a; }

namespace {
template <int Max, int Groups>
struct Dots {
  __m256i lo, hi;
  void begin(I32x16 start) {
    lo = start.lo;
    hi = start.hi;
  }
  template <int>
  void step(U8x64 w, Four x) {
    lo = _mm256_dpbusd_avx_epi32(lo, w.lo, x.v);
    hi = _mm256_dpbusd_avx_epi32(hi, w.hi, x.v);
  }
  I32x16 end() const { return {lo, hi}; }
};
}  // namespace

#else

// vpmaddubsw adds two products in int16, without room for weights above 128: signed ones, and
// their sign moved to the activation. 2 * 128 * 127 = 32512 fits.
static constexpr bool kFullIsSigned = true;
static inline U8x64 full64(U8x64 a) {
  const __m256i flip = _mm256_set1_epi8(static_cast<char>(0x80));
  return {_mm256_xor_si256(a.lo, flip), _mm256_xor_si256(a.hi, flip)};
}

// So many steps fit into int16: 8 * 2 * 15 * 127 = 30480, 4 * 2 * 31 * 127 = 31496,
// 2 * 2 * 63 * 127 = 32004.
static constexpr int steps_in_16_bits(int max) {
  return max <= 15 ? 8 : max <= 31 ? 4 : max <= 63 ? 2 : 1;
}

static inline __m256i pair_products(__m256i w, __m256i x, bool is_full) {
  if (is_full) return _mm256_maddubs_epi16(_mm256_abs_epi8(w), _mm256_sign_epi8(x, w));
  return _mm256_maddubs_epi16(w, x);
}

namespace {
template <int Max, int Groups>
struct Dots {
  __m256i lo, hi;
  __m256i pairs_lo, pairs_hi;  // sums in int16 of the steps since the last multiple of kSteps
  static constexpr int kSteps = steps_in_16_bits(Max) < Groups ? steps_in_16_bits(Max) : Groups;
  void begin(I32x16 start) {
    lo = start.lo;
    hi = start.hi;
  }
  template <int G>
  void step(U8x64 w, Four x) {
    const __m256i p_lo = pair_products(w.lo, x.v, Max == kFull);
    const __m256i p_hi = pair_products(w.hi, x.v, Max == kFull);
    pairs_lo = G % kSteps == 0 ? p_lo : _mm256_add_epi16(pairs_lo, p_lo);
    pairs_hi = G % kSteps == 0 ? p_hi : _mm256_add_epi16(pairs_hi, p_hi);
    if (G % kSteps != kSteps - 1) return;
    const __m256i ones = _mm256_set1_epi16(1);
    lo = _mm256_add_epi32(lo, _mm256_madd_epi16(pairs_lo, ones));
    hi = _mm256_add_epi32(hi, _mm256_madd_epi16(pairs_hi, ones));
    // Else the compiler turns the sums of all steps into trees, for which it lacks registers.
    asm("" : "+x"(lo), "+x"(hi));
  }
  I32x16 end() const { return {lo, hi}; }
};
}  // namespace

#endif

}  // namespace strata::cpu::STRATA_ISA
