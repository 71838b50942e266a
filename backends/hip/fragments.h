#pragma once

// The HIP twin of fragments.h: matrix instructions of CDNA (mfma) and RDNA 3 (wmma), plain ones
// elsewhere. See backends/cuda/fragments.h.

#include "platform.h"

#if defined(__gfx90a__) || defined(__gfx940__) || defined(__gfx941__) || defined(__gfx942__)

namespace strata::STRATA_SIMT {

typedef short Shorts4 __attribute__((ext_vector_type(4)));
typedef float Floats4 __attribute__((ext_vector_type(4)));

/// Lane l has row l % 16 and columns 4 (l / 16) .. + 3.
struct Fragment {
  Shorts4 v;
};

STRATA_DEVICE Fragment load_fragment(const std::uint16_t* tile, int pitch) {
  const auto words = load8<Int2>(tile + lane() % 16 * pitch + lane() / 16 * 4);
  Fragment f;
  __builtin_memcpy(&f, &words, sizeof(f));
  return f;
}

/// Lane l has column l % 16 and rows 4 (l / 16) .. + 3.
struct Accumulator {
  Floats4 v = {0, 0, 0, 0};
};

STRATA_DEVICE void multiply(Accumulator& sums, const Fragment& a, const Fragment& b) {
  sums.v = __builtin_amdgcn_mfma_f32_16x16x16bf16_1k(a.v, b.v, sums.v, 0, 0, 0);
}

template <class Use>
STRATA_DEVICE void for_each_element(Accumulator& sums, const Use& use) {
  STRATA_UNROLL
  for (int i = 0; i < 4; ++i) {
    float value = sums.v[i];
    use(lane() / 16 * 4 + i, lane() % 16, value);
    sums.v[i] = value;
  }
}

}  // namespace strata::STRATA_SIMT

#elif defined(__GFX11__)

namespace strata::STRATA_SIMT {

typedef short Shorts16 __attribute__((ext_vector_type(16)));
typedef float Floats8 __attribute__((ext_vector_type(8)));

/// Lanes l and l + 16 have row l, whole.
struct Fragment {
  Shorts16 v;
};

STRATA_DEVICE Fragment load_fragment(const std::uint16_t* tile, int pitch) {
  Int4 words[2];
  const std::uint16_t* row = tile + lane() % 16 * pitch;
  words[0] = load16(row);
  words[1] = load16(row + 8);
  Fragment f;
  __builtin_memcpy(&f, words, sizeof(f));
  return f;
}

/// Lane l has column l % 16 and every second row from l / 16 on.
struct Accumulator {
  Floats8 v = {0, 0, 0, 0, 0, 0, 0, 0};
};

STRATA_DEVICE void multiply(Accumulator& sums, const Fragment& a, const Fragment& b) {
  sums.v = __builtin_amdgcn_wmma_f32_16x16x16_bf16_w32(a.v, b.v, sums.v);
}

template <class Use>
STRATA_DEVICE void for_each_element(Accumulator& sums, const Use& use) {
  STRATA_UNROLL
  for (int i = 0; i < 8; ++i) {
    float value = sums.v[i];
    use(2 * i + lane() / 16, lane() % 16, value);
    sums.v[i] = value;
  }
}

}  // namespace strata::STRATA_SIMT

#else
#include "backends/simt/fragments_plain.h"
#endif

namespace strata::STRATA_SIMT {

STRATA_DEVICE unsigned bf16_pair(float low, float high) {
  return static_cast<unsigned>(float_to_bf16(low)) | static_cast<unsigned>(float_to_bf16(high))
                                                         << 16;
}

}  // namespace strata::STRATA_SIMT
