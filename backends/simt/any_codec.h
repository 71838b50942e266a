#pragma once

// Weights of a dtype that is known when the kernel runs: for what is not worth a kernel per dtype.

#include "backends/simt/codecs_k.h"

namespace strata::STRATA_SIMT {

/// Calls use(Codec{}) with the codec of a quantized dtype.
template <class Use>
STRATA_DEVICE void with_codec(DType type, const Use& use) {
  switch (type) {
    case DType::Q4_0:
      return use(CodecQ4_0{});
    case DType::Q4_1:
      return use(CodecQ4_1{});
    case DType::Q5_0:
      return use(CodecQ5_0{});
    case DType::Q5_1:
      return use(CodecQ5_1{});
    case DType::Q8_0:
      return use(CodecQ8_0{});
    case DType::IQ4_NL:
      return use(CodecIQ4_NL{});
    case DType::MXFP4:
      return use(CodecMXFP4{});
    case DType::Q2_K:
      return use(CodecQ2_K{});
    case DType::Q3_K:
      return use(CodecQ3_K{});
    case DType::Q4_K:
      return use(CodecQ4_K{});
    case DType::Q5_K:
      return use(CodecQ5_K{});
    case DType::Q6_K:
      return use(CodecQ6_K{});
    case DType::IQ4_XS:
      return use(CodecIQ4_XS{});
    default:
      return;
  }
}

/// A unit as floats, and where they belong.
struct FloatUnit {
  float values[32];
  int column[2];  ///< the first of values[0 .. 15] and of values[16 .. 31]
};

template <class Codec, class Source>
STRATA_DEVICE void decode_floats(const Source& row, int unit, FloatUnit& out) {
  WeightUnit decoded;
  Codec::decode(Codec::load(row, static_cast<unsigned>(unit)), static_cast<unsigned>(unit),
                decoded);
  STRATA_UNROLL
  for (int i = 0; i < 32; ++i) out.values[i] = unit_weight<Codec>(decoded, i / 4, i % 4);
  out.column[0] = Codec::column(unit, 0);
  out.column[1] = Codec::column(unit, 1);
}

/// Unit `unit` < columns / 32 of a row of a quantized dtype, at any address.
STRATA_DEVICE void decode_file_unit(DType type, const std::byte* row, int unit, FloatUnit& out) {
  with_codec(type, [&](auto codec) {
    using Codec = decltype(codec);
    decode_floats<Codec>(FileRow<Codec::kType>{{row, 0, 0}}, unit, out);
  });
}

/// The same of a row in planes.
STRATA_DEVICE void decode_plane_unit(DType type, const RowPlace& row, int unit, FloatUnit& out) {
  with_codec(type, [&](auto codec) {
    using Codec = decltype(codec);
    decode_floats<Codec>(PlaneRow<Codec::kType>{row}, unit, out);
  });
}

}  // namespace strata::STRATA_SIMT
