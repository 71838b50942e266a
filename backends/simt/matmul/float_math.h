#pragma once

#include <type_traits>

#include "backends/simt/matmul/gemv.h"
#include "backends/simt/weights.h"

// Weights of F32, F16 or BF16 in rows times x in f32: see Math in gemv.h.
namespace strata::STRATA_SIMT {

/// A unit is 8 columns; beyond k they read as zeros.
inline constexpr int kFloatUnit = 8;

struct FloatColumns {
  float v[kFloatUnit];
};

/// 8 columns of type T in a row at any multiple of its size.
template <class T>
struct RawColumns {
  static constexpr int kWords = kFloatUnit * static_cast<int>(sizeof(T)) / 4;
  unsigned words[kWords];
};

template <class T, bool kAligned>
STRATA_DEVICE RawColumns<T> load_columns(const std::byte* row, int column, int k) {
  RawColumns<T> out = {};
  const std::byte* at = row + column * static_cast<int>(sizeof(T));
  if constexpr (kAligned) {
    STRATA_UNROLL
    for (int i = 0; i < RawColumns<T>::kWords / 4; ++i) {
      const Int4 v = load16_stream(at + 16 * i);
      STRATA_UNROLL
      for (int j = 0; j < 4; ++j) out.words[4 * i + j] = word_of(v, j);
    }
  } else {
    constexpr int kEach = 4 / static_cast<int>(sizeof(T));  // columns of a word
    STRATA_UNROLL
    for (int i = 0; i < kFloatUnit; ++i)
      if (column + i < k)
        out.words[i / kEach] |= static_cast<unsigned>(reinterpret_cast<const T*>(at)[i])
                                << (i % kEach * 16);
  }
  return out;
}

template <DType kType>
STRATA_DEVICE FloatColumns floats_of_columns(const RawColumns<std::uint16_t>& raw) {
  FloatColumns out;
  STRATA_UNROLL
  for (int i = 0; i < 4; ++i) {
    const unsigned word = raw.words[i];
    out.v[2 * i] = kType == DType::F16 ? low_half(word) : float_of(word << 16);
    out.v[2 * i + 1] = kType == DType::F16 ? high_half(word) : float_of(word & 0xffff0000u);
  }
  return out;
}
template <DType kType>
STRATA_DEVICE FloatColumns floats_of_columns(const RawColumns<std::uint32_t>& raw) {
  FloatColumns out;
  STRATA_UNROLL
  for (int i = 0; i < kFloatUnit; ++i) out.v[i] = float_of(raw.words[i]);
  return out;
}

template <bool kAligned>
STRATA_DEVICE FloatColumns load_x_columns(const std::byte* x, int column, int k) {
  const auto* at = reinterpret_cast<const float*>(x) + column;
  if constexpr (kAligned) {
    const auto low = load16<Float4>(at);
    const auto high = load16<Float4>(at + 4);
    return {{low.x, low.y, low.z, low.w, high.x, high.y, high.z, high.w}};
  } else {
    FloatColumns out;
    STRATA_UNROLL
    for (int i = 0; i < kFloatUnit; ++i) out.v[i] = column + i < k ? at[i] : 0.0F;
    return out;
  }
}

/// kAligned: rows of w and x begin on multiples of 16 bytes, and k is a multiple of a unit.
template <DType kType, bool kAligned>
struct FloatRows {
  using Element = std::conditional_t<kType == DType::F32, std::uint32_t, std::uint16_t>;
  static constexpr int kUnitsPerLane = 4;
  STRATA_DEVICE static int units(int k) { return (k + kFloatUnit - 1) / kFloatUnit; }
  STRATA_DEVICE static unsigned blocks(int) { return 0; }
  template <int kRows, int kTokens>
  STRATA_DEVICE static void step(const MatmulJob& job, const GemvRows<kRows>& places,
                                 const std::byte* const (&x)[kTokens], int tokens, int unit,
                                 float (&sums)[kRows * kTokens]) {
    const int column = unit * kFloatUnit;
    RawColumns<Element> raw[kRows];
    STRATA_UNROLL
    for (int r = 0; r < kRows; ++r)
      raw[r] = load_columns<Element, kAligned>(places[r].base, column, job.k);
    FloatColumns w[kRows];
    STRATA_UNROLL
    for (int r = 0; r < kRows; ++r) w[r] = floats_of_columns<kType>(raw[r]);
    STRATA_UNROLL
    for (int t = 0; t < kTokens; ++t) {
      if (kTokens > 1 && t >= tokens) continue;
      const FloatColumns columns = load_x_columns<kAligned>(x[t], column, job.k);
      STRATA_UNROLL
      for (int r = 0; r < kRows; ++r) {
        float sum = sums[r * kTokens + t];
        STRATA_UNROLL
        for (int i = 0; i < kFloatUnit; ++i) sum = fma_of(w[r].v[i], columns.v[i], sum);
        sums[r * kTokens + t] = sum;
      }
    }
  }
  template <int kRows>
  STRATA_DEVICE static void prefetch(const GemvRows<kRows>& places, int unit) {
    if constexpr (kAligned) {
      STRATA_UNROLL
      for (int r = 0; r < kRows; ++r)
        prefetch_early(places[r].base + unit * kFloatUnit * static_cast<int>(sizeof(Element)));
    }
  }
};

}  // namespace strata::STRATA_SIMT
