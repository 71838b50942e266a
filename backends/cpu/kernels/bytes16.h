#pragma once

// Vectors of 16 bytes that every instruction set has, for the code that takes blocks apart.

#include "backends/cpu/kernels/simd.h"

#if defined(__aarch64__)
#include <arm_neon.h>
#endif

namespace strata::cpu::STRATA_ISA {

typedef std::uint8_t Bytes __attribute__((vector_size(16)));
typedef std::uint16_t Halves __attribute__((vector_size(16)));
typedef std::uint32_t Words __attribute__((vector_size(16)));
typedef std::uint64_t Doubles __attribute__((vector_size(16)));

static inline Bytes bytes_at(const void* p) {
  Bytes bytes;
  __builtin_memcpy(&bytes, p, sizeof(bytes));
  return bytes;
}

// The elements of two vectors in turn.
static inline Words low_in_turn(Words a, Words b) {
  return __builtin_shufflevector(a, b, 0, 4, 1, 5);
}
static inline Words high_in_turn(Words a, Words b) {
  return __builtin_shufflevector(a, b, 2, 6, 3, 7);
}
static inline Halves low_in_turn(Halves a, Halves b) {
  return __builtin_shufflevector(a, b, 0, 8, 1, 9, 2, 10, 3, 11);
}
static inline Halves high_in_turn(Halves a, Halves b) {
  return __builtin_shufflevector(a, b, 4, 12, 5, 13, 6, 14, 7, 15);
}
static inline Bytes low_in_turn(Bytes a, Bytes b) {
  return __builtin_shufflevector(a, b, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
}
static inline Bytes high_in_turn(Bytes a, Bytes b) {
  return __builtin_shufflevector(a, b, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15,
                                 31);
}

// Bits shift, shift + 1, ... of every byte, as many as `mask` has.
static inline Bytes field(Bytes bytes, int shift, std::uint8_t mask) {
  return reinterpret_cast<Bytes>(reinterpret_cast<Halves>(bytes) >> shift) & mask;
}

// 16 bits as bytes, `value` for one: bit i becomes byte i.
static inline Bytes spread(std::uint32_t bits, std::uint8_t value) {
  constexpr std::uint64_t kEach = 0x0101010101010101u;
  const Doubles copies = {(bits & 255) * kEach, (bits >> 8 & 255) * kEach};
  const Bytes mask = {1, 2, 4, 8, 16, 32, 64, 128, 1, 2, 4, 8, 16, 32, 64, 128};
  return reinterpret_cast<Bytes>((reinterpret_cast<Bytes>(copies) & mask) != 0) & value;
}

// table[index] for indices below 16.
static inline Bytes look_up(const std::int8_t* table, Bytes index) {
#if defined(__SSSE3__)
  return reinterpret_cast<Bytes>(_mm_shuffle_epi8(reinterpret_cast<__m128i>(bytes_at(table)),
                                                  reinterpret_cast<__m128i>(index)));
#elif defined(__aarch64__)
  return reinterpret_cast<Bytes>(vqtbl1q_u8(reinterpret_cast<uint8x16_t>(bytes_at(table)),
                                            reinterpret_cast<uint8x16_t>(index)));
#else
  Bytes values = {};
  for (int i = 0; i < 16; ++i) values[i] = static_cast<std::uint8_t>(table[index[i]]);
  return values;
#endif
}

// Signed bytes as floats.
static inline F32x16 f32_of_s8(Bytes bytes) {
#if defined(__AVX512F__)
  return {_mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(reinterpret_cast<__m128i>(bytes)))};
#elif defined(__AVX2__)
  const __m128i all = reinterpret_cast<__m128i>(bytes);
  return {_mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(all)),
          _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_unpackhi_epi64(all, all)))};
#else
  typedef std::int32_t Integers __attribute__((vector_size(16)));
  typedef float Floats __attribute__((vector_size(16)));
  const Bytes no_bytes = {};
  const Halves none = {};
  // Each byte to the top of a word, then down with its sign.
  const Halves low = reinterpret_cast<Halves>(low_in_turn(no_bytes, bytes));
  const Halves high = reinterpret_cast<Halves>(high_in_turn(no_bytes, bytes));
  const Halves words[4] = {low_in_turn(none, low), high_in_turn(none, low), low_in_turn(none, high),
                           high_in_turn(none, high)};
  float values[kWide];
  for (int i = 0; i < 4; ++i) {
    const Integers integers = reinterpret_cast<Integers>(words[i]) >> 24;
    const Floats floats = __builtin_convertvector(integers, Floats);
    __builtin_memcpy(values + 4 * i, &floats, sizeof(floats));
  }
  return load16(values);
#endif
}

// 16 f16 or bf16 numbers at any address.
static inline F32x16 f32_of_f16(const void* p) {
#if defined(__AVX2__)
  return load16_f16(static_cast<const std::uint16_t*>(p));
#else
  std::uint16_t halves[kWide];
  __builtin_memcpy(halves, p, sizeof(halves));
  return load16_f16(halves);
#endif
}

static inline F32x16 f32_of_bf16(const void* p) {
#if defined(__AVX512F__)
  const __m256i halves = _mm256_loadu_si256(static_cast<const __m256i*>(p));
  return {_mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(halves), 16))};
#elif defined(__AVX2__)
  const __m128i* h = static_cast<const __m128i*>(p);
  const __m256i lo = _mm256_slli_epi32(_mm256_cvtepu16_epi32(_mm_loadu_si128(h)), 16);
  const __m256i hi = _mm256_slli_epi32(_mm256_cvtepu16_epi32(_mm_loadu_si128(h + 1)), 16);
  return {_mm256_castsi256_ps(lo), _mm256_castsi256_ps(hi)};
#else
  const auto* bytes = static_cast<const std::uint8_t*>(p);
  const Halves none = {};
  const Halves first = reinterpret_cast<Halves>(bytes_at(bytes));
  const Halves second = reinterpret_cast<Halves>(bytes_at(bytes + 16));
  const Halves words[4] = {low_in_turn(none, first), high_in_turn(none, first),
                           low_in_turn(none, second), high_in_turn(none, second)};
  float values[kWide];
  __builtin_memcpy(values, words, sizeof(values));
  return load16(values);
#endif
}

}  // namespace strata::cpu::STRATA_ISA
