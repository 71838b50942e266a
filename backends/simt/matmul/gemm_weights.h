#pragma once

#include "backends/simt/matmul/gemm_bf16.h"

// Weights of gemm_bf16.h: units of 32 columns, of
//   units(k), blocks(k)            a row
//   column(unit, piece, job)       the first of the 16 columns of a piece
//   Raw load(job, place, unit)     what is kept in registers until
//   decode(job, raw, unit, halves) makes bf16 of it: 4 times 8 halves
namespace strata::STRATA_SIMT {

template <class Codec>
STRATA_DEVICE void decode_halves(const typename Codec::Raw& raw, int unit, Int4 (&halves)[4]) {
  WeightUnit decoded;
  Codec::decode(raw, static_cast<unsigned>(unit), decoded);
  STRATA_UNROLL
  for (int c = 0; c < 4; ++c) {
    const auto pair = [&](int i) {
      const int j = 2 * c + i / 2;
      return static_cast<int>(bf16_pair(unit_weight<Codec>(decoded, j, i % 2 * 2),
                                        unit_weight<Codec>(decoded, j, i % 2 * 2 + 1)));
    };
    halves[c] = {pair(0), pair(1), pair(2), pair(3)};
  }
}

/// Of a quantized dtype, in planes.
template <class Codec>
struct PlaneWeights {
  using Raw = typename Codec::Raw;
  STRATA_DEVICE static int units(int k) { return k / 32; }
  STRATA_DEVICE static unsigned blocks(int k) { return static_cast<unsigned>(k) / kBlockColumns; }
  STRATA_DEVICE static int column(int unit, int piece, const MatmulJob&) {
    return Codec::column(unit, piece);
  }
  STRATA_DEVICE static Raw load(const MatmulJob&, const RowPlace& place, int unit) {
    return Codec::load(PlaneRow<Codec::kType>{place}, static_cast<unsigned>(unit));
  }
  STRATA_DEVICE static void decode(const MatmulJob&, const Raw& raw, int unit, Int4 (&halves)[4]) {
    decode_halves<Codec>(raw, unit, halves);
  }

 private:
  static constexpr auto kBlockColumns =
      static_cast<unsigned>(dtype_info(Codec::kType).block_elements);
};

/// Of any quantized dtype, as the file has it: decoded where it lies.
struct FileWeights {
  using Raw = RowPlace;
  STRATA_DEVICE static int units(int k) { return k / 32; }
  STRATA_DEVICE static unsigned blocks(int) { return 0; }
  STRATA_DEVICE static int column(int unit, int piece, const MatmulJob& job) {
    return piece_column(job.type, unit, piece);
  }
  STRATA_DEVICE static Raw load(const MatmulJob&, const RowPlace& place, int) { return place; }
  STRATA_DEVICE static void decode(const MatmulJob& job, const Raw& raw, int unit,
                                   Int4 (&halves)[4]) {
    with_codec(job.type, [&](auto codec) {
      using Codec = decltype(codec);
      const FileRow<Codec::kType> row{raw};
      decode_halves<Codec>(Codec::load(row, static_cast<unsigned>(unit)), unit, halves);
    });
  }
};

/// F16 or BF16 in rows.
struct HalfUnit {
  Int4 v[4];
};
template <DType kType>
struct HalfWeights {
  using Raw = HalfUnit;
  STRATA_DEVICE static int units(int k) { return (k + 31) / 32; }
  STRATA_DEVICE static unsigned blocks(int) { return 0; }
  STRATA_DEVICE static int column(int unit, int piece, const MatmulJob&) {
    return 32 * unit + 16 * piece;
  }
  STRATA_DEVICE static Raw load(const MatmulJob& job, const RowPlace& place, int unit) {
    Raw raw;
    STRATA_UNROLL
    for (int c = 0; c < 4; ++c)
      raw.v[c] = load_bf16(place.base, 32 * unit + 8 * c, job.k, job.aligned);
    return raw;
  }
  STRATA_DEVICE static void decode(const MatmulJob&, const Raw& raw, int, Int4 (&halves)[4]) {
    STRATA_UNROLL
    for (int c = 0; c < 4; ++c) {
      const auto round = [&](int i) {
        const unsigned word = word_of(raw.v[c], i);
        return static_cast<int>(kType == DType::BF16 ? word
                                                     : bf16_pair(low_half(word), high_half(word)));
      };
      halves[c] = {round(0), round(1), round(2), round(3)};
    }
  }
};

}  // namespace strata::STRATA_SIMT
