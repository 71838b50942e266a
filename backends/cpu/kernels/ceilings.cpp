// What a core could at best do: loops of nothing but the instruction that a matmul lives by, and of
// nothing but loads. The former in assembly: compilers spill or simplify such loops.

#include "backends/cpu/kernels/ceilings.h"

#include "backends/cpu/kernels/isa.h"

#if defined(__AVX2__)
#include <immintrin.h>
#endif
#if defined(__x86_64__)
#include "backends/cpu/kernels/ceilings_x86.h"
#elif defined(__aarch64__)
#include "backends/cpu/kernels/ceilings_neon.h"
#endif

namespace strata::cpu::STRATA_ISA {

// What the loops multiply, as f32 and as bf16 numbers near one half: on zeros a core draws less
// power, and may clock higher, than on any weights.
[[maybe_unused]] static constexpr std::uint32_t kOperand = 0x3f0b3ef5u;

/// `rounds` (at least 1) of the variant's best int8 dot product on registers; *operations is how
/// many multiplications and additions that was, 0 when the variant has none.
void peak_int8([[maybe_unused]] std::int64_t rounds, double* operations) {
#if defined(STRATA_INT8_STEP)
  *operations = static_cast<double>(rounds) * kRegisters * kInt8Step;
  STRATA_PEAK(STRATA_INT8_STEP);
#else
  *operations = 0;
#endif
}

/// As peak_int8, for products of bf16 summed in f32.
void peak_bf16([[maybe_unused]] std::int64_t rounds, double* operations) {
#if defined(STRATA_BF16_STEP)
  *operations = static_cast<double>(rounds) * kRegisters * kBf16Step;
  STRATA_PEAK(STRATA_BF16_STEP);
#else
  *operations = 0;
#endif
}

/// As peak_int8, for f32.
void peak_f32([[maybe_unused]] std::int64_t rounds, double* operations) {
#if defined(STRATA_F32_STEP)
  *operations = static_cast<double>(rounds) * kRegisters * kF32Step;
  STRATA_PEAK(STRATA_F32_STEP);
#else
  *operations = 0;
#endif
}

#if defined(__AVX512F__)
typedef __m512i Word;
#elif defined(__AVX2__)
typedef __m256i Word;
#else
typedef std::uint64_t Word __attribute__((vector_size(16)));
#endif

// The OR of `bytes` bytes in `Streams` equal parts read side by side, asking for the bytes `Ahead`
// further on.
template <int Streams, int Ahead>
static std::uint64_t read_streams(const std::byte* data, std::int64_t bytes) {
  constexpr int kLine = 64;
  constexpr int kUnroll = 4;
  constexpr int kWords = kLine / static_cast<int>(sizeof(Word));
  static_assert(kReadGrain % (kLine * kUnroll * Streams) == 0);
  const std::int64_t part = bytes / Streams;
  Word seen[Streams][kUnroll] = {};
  for (std::int64_t at = 0; at < part; at += kLine * kUnroll) {
    for (int s = 0; s < Streams; ++s) {
      const std::byte* lines = data + s * part + at;
      for (int u = 0; u < kUnroll; ++u) {
        if (Ahead > 0) __builtin_prefetch(lines + u * kLine + Ahead, 0, 0);
        const auto* words = reinterpret_cast<const Word*>(lines + u * kLine);
        for (int w = 0; w < kWords; ++w) seen[s][u] |= words[w];
      }
    }
  }
  std::uint64_t sum = 0;
  for (int s = 0; s < Streams; ++s) {
    for (int u = 0; u < kUnroll; ++u) {
      std::uint64_t parts[sizeof(Word) / sizeof(std::uint64_t)];
      __builtin_memcpy(parts, &seen[s][u], sizeof(parts));
      for (std::uint64_t value : parts) sum |= value;
    }
  }
  return sum;
}

/// Reads `bytes` bytes (a multiple of kReadGrain) from 64-byte aligned `data`, in one of
/// kReadShapes orders; *checksum depends on all of them.
void read_bytes(const std::byte* data, std::int64_t bytes, int shape, std::uint64_t* checksum) {
  if (shape == 0)
    *checksum = read_streams<1, 4096>(data, bytes);
  else if (shape == 1)
    *checksum = read_streams<4, 0>(data, bytes);
  else
    *checksum = read_streams<1, 0>(data, bytes);
}

}  // namespace strata::cpu::STRATA_ISA
