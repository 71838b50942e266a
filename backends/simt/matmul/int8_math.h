#pragma once

#include "backends/simt/any_codec.h"
#include "backends/simt/matmul/gemv.h"

// Quantized weights times x in Layout::quantized, by integer dot products: see Math in gemv.h.
namespace strata::STRATA_SIMT {

/// What a unit's columns have in a row of Layout::quantized, for k columns:
/// i8 values[k]; f32 scales[k / 32]; i32 sums[k / 32], i32 halves[k / 16], times -128.
struct QuantizedUnit {
  int q[8];
  float scale[2];
  int sum[2];  ///< of each piece; of both in sum[0] when they share a scale
};

template <class Codec>
STRATA_DEVICE QuantizedUnit load_x_unit(const std::byte* x, int k, int unit) {
  QuantizedUnit out = {};
  const std::byte* scales = x + k;
  const std::byte* sums = scales + k / 8;
  STRATA_UNROLL
  for (int piece = 0; piece < 2; ++piece) {
    const int column = Codec::column(unit, piece);
    const Int4 values = load16(x + column);
    STRATA_UNROLL
    for (int i = 0; i < 4; ++i) out.q[4 * piece + i] = static_cast<int>(word_of(values, i));
    if (Codec::kOneScale && piece == 1) continue;
    out.scale[piece] = load4<float>(scales + column / 32 * 4);
    if (Codec::kOffset == 0 && !Codec::kMins) continue;
    out.sum[piece] = Codec::kOneScale ? load4<int>(sums + column / 32 * 4)
                                      : load4<int>(sums + k / 8 + column / 16 * 4);
  }
  return out;
}

/// sum + the unit's product. Sums are -128 times those of x, so an exact shift makes them what the
/// weights' offset adds too much.
template <class Codec>
STRATA_DEVICE float multiply_unit(const WeightUnit& w, const QuantizedUnit& x, float sum) {
  constexpr int kPieces = Codec::kOneScale ? 1 : 2;
  STRATA_UNROLL
  for (int piece = 0; piece < kPieces; ++piece) {
    int products = Codec::kOffset == 0 ? 0 : x.sum[piece] / (128 / max_of(Codec::kOffset, 1));
    STRATA_UNROLL
    for (int i = 0; i < 8 / kPieces; ++i)
      products = dot4(w.q[4 * piece + i], x.q[4 * piece + i], products);
    sum = fma_of(w.scale[piece] * x.scale[piece], static_cast<float>(products), sum);
    if constexpr (Codec::kMins) {
      const float total = x.scale[piece] * (static_cast<float>(x.sum[piece]) * (-1.0F / 128));
      sum = fma_of(w.min[piece], total, sum);
    }
  }
  return sum;
}

template <class Codec, class Source, int kRows, int kTokens>
STRATA_DEVICE void int8_step(const MatmulJob& job, const GemvRows<kRows>& places,
                             const std::byte* const (&x)[kTokens], int tokens, int unit,
                             float (&sums)[kRows * kTokens]) {
  typename Codec::Raw raw[kRows] = {};
  STRATA_UNROLL
  for (int r = 0; r < kRows; ++r)
    raw[r] = Codec::load(Source{places[r]}, static_cast<unsigned>(unit));
  WeightUnit w[kRows];
  STRATA_UNROLL
  for (int r = 0; r < kRows; ++r) Codec::decode(raw[r], static_cast<unsigned>(unit), w[r]);
  STRATA_UNROLL
  for (int t = 0; t < kTokens; ++t) {
    if (kTokens > 1 && t >= tokens) continue;
    const QuantizedUnit q = load_x_unit<Codec>(x[t], job.k, unit);
    STRATA_UNROLL
    for (int r = 0; r < kRows; ++r)
      sums[r * kTokens + t] = multiply_unit<Codec>(w[r], q, sums[r * kTokens + t]);
  }
}

template <class Codec>
struct Int8Planes {
  static constexpr int kUnitsPerLane = 2;
  STRATA_DEVICE static int units(int k) { return k / 32; }
  STRATA_DEVICE static unsigned blocks(int k) { return static_cast<unsigned>(k) / kBlockColumns; }
  template <int kRows, int kTokens>
  STRATA_DEVICE static void step(const MatmulJob& job, const GemvRows<kRows>& places,
                                 const std::byte* const (&x)[kTokens], int tokens, int unit,
                                 float (&sums)[kRows * kTokens]) {
    int8_step<Codec, PlaneRow<Codec::kType>>(job, places, x, tokens, unit, sums);
  }
  template <int kRows>
  STRATA_DEVICE static void prefetch(const GemvRows<kRows>& places, int unit) {
    STRATA_UNROLL
    for (int r = 0; r < kRows; ++r)
      Codec::load(EarlyPlaneRow<Codec::kType>{places[r]}, static_cast<unsigned>(unit));
  }

 private:
  static constexpr auto kBlockColumns =
      static_cast<unsigned>(dtype_info(Codec::kType).block_elements);
};

/// Of any dtype, as the file has it. The bits are those of planes.
struct Int8File {
  static constexpr int kUnitsPerLane = 2;
  STRATA_DEVICE static int units(int k) { return k / 32; }
  STRATA_DEVICE static unsigned blocks(int) { return 0; }
  template <int kRows, int kTokens>
  STRATA_DEVICE static void step(const MatmulJob& job, const GemvRows<kRows>& places,
                                 const std::byte* const (&x)[kTokens], int tokens, int unit,
                                 float (&sums)[kRows * kTokens]) {
    with_codec(job.type, [&](auto codec) {
      using Codec = decltype(codec);
      int8_step<Codec, FileRow<Codec::kType>>(job, places, x, tokens, unit, sums);
    });
  }
  template <int kRows>
  STRATA_DEVICE static void prefetch(const GemvRows<kRows>&, int) {}
};

}  // namespace strata::STRATA_SIMT
