#pragma once

// Block-quantized weights as kernels read them. A *unit* is 32 weights of one row, read with one or
// two 16-byte loads: two pieces of 16 neighbouring columns each, which are 32 neighbouring columns
// where blocks have 32, and lie apart within a block of 256. Unit u of a row is a part of block
// u / (units of a block); the units of a row cover its columns once.
//
// A codec (codecs_32.h, codecs_k.h) says how a dtype's unit is loaded and decoded; where its fields
// lie is a source's business: PlaneRow for Layout::planes16, FileRow for the file's rows, whose
// blocks lie at any address.

#include "platform.h"
#include "runtime/core/planes.h"

namespace strata::STRATA_SIMT {

/// weight = scale * (q - offset of the codec) + min. Four columns in an int, the first in its
/// lowest byte: signed bytes; piece 0 in q[0 .. 3], piece 1 in q[4 .. 7].
struct WeightUnit {
  int q[8];
  float scale[2];
  float min[2];  ///< not set where the codec says that it has none
};

/// A field of a dtype's blocks (runtime/core/planes.def), as constants that device code can name.
template <DType kType, int kField>
struct BlockField {
  static constexpr auto kOffset = static_cast<unsigned>(plane_fields(kType)[kField].offset);
  static constexpr auto kBytes = static_cast<unsigned>(plane_fields(kType)[kField].bytes);
  /// Bytes of a block that lie in the planes before this one.
  static constexpr auto kBefore = static_cast<unsigned>(
      plane_offset(kType, kField, dtype_info(kType).block_elements) / kPanelRows);
  static constexpr auto kBlockBytes = static_cast<unsigned>(dtype_info(kType).block_bytes);
  static constexpr auto kRows = static_cast<unsigned>(kPanelRows);
};

/// Where a row of weights begins: in planes, its panel and the row in it.
struct RowPlace {
  const std::byte* base;  ///< panel, or row
  unsigned blocks;        ///< of a row
  unsigned first;         ///< blocks of the panel's rows before this one; 0 for a file's row
};

/// A row in Layout::planes16: all loads are aligned.
template <DType kType>
struct PlaneRow {
  RowPlace place;

  template <int kField>
  STRATA_DEVICE const std::byte* at(unsigned block, unsigned offset) const {
    using Field = BlockField<kType, kField>;
    // A panel is far smaller than 4 GiB.
    return place.base + (place.blocks * (Field::kRows * Field::kBefore) +
                         (place.first + block) * Field::kBytes + offset);
  }
  template <int kField>
  STRATA_DEVICE Int4 quants(unsigned block, unsigned offset) const {
    return load16_stream(at<kField>(block, offset));
  }
  template <int kField>
  STRATA_DEVICE Int4 word4(unsigned block, unsigned offset) const {
    return load16(at<kField>(block, offset));
  }
  template <int kField>
  STRATA_DEVICE Int2 word2(unsigned block, unsigned offset) const {
    return load8(at<kField>(block, offset));
  }
  template <int kField>
  STRATA_DEVICE unsigned word(unsigned block, unsigned offset) const {
    return load4<unsigned>(at<kField>(block, offset));
  }
  template <int kField>
  STRATA_DEVICE std::uint16_t half(unsigned block) const {
    return load_aligned<std::uint16_t>(at<kField>(block, 0));
  }
  template <int kField>
  STRATA_DEVICE unsigned byte(unsigned block) const {
    return load_aligned<std::uint8_t>(at<kField>(block, 0));
  }
};

/// The same row when nothing may be read of it yet: each load asks for its bytes early.
template <DType kType>
struct EarlyPlaneRow {
  RowPlace place;

  template <int kField>
  STRATA_DEVICE void ask(unsigned block, unsigned offset) const {
    prefetch_early(PlaneRow<kType>{place}.template at<kField>(block, offset));
  }
  template <int kField>
  STRATA_DEVICE Int4 quants(unsigned block, unsigned offset) const {
    ask<kField>(block, offset);
    return {};
  }
  template <int kField>
  STRATA_DEVICE Int4 word4(unsigned block, unsigned offset) const {
    ask<kField>(block, offset);
    return {};
  }
  template <int kField>
  STRATA_DEVICE Int2 word2(unsigned block, unsigned offset) const {
    ask<kField>(block, offset);
    return {};
  }
  template <int kField>
  STRATA_DEVICE unsigned word(unsigned block, unsigned offset) const {
    ask<kField>(block, offset);
    return 0;
  }
  template <int kField>
  STRATA_DEVICE std::uint16_t half(unsigned block) const {
    ask<kField>(block, 0);
    return 0;
  }
  template <int kField>
  STRATA_DEVICE unsigned byte(unsigned block) const {
    ask<kField>(block, 0);
    return 0;
  }
};

/// A row as the file has it: blocks at any address, so bytes are loaded one by one.
template <DType kType>
struct FileRow {
  RowPlace place;

  STRATA_DEVICE static unsigned gather(const std::byte* p) {
    unsigned word = 0;
    for (int i = 0; i < 4; ++i) word |= static_cast<unsigned>(p[i]) << (8 * i);
    return word;
  }
  template <int kField>
  STRATA_DEVICE const std::byte* at(unsigned block, unsigned offset) const {
    using Field = BlockField<kType, kField>;
    return place.base + (block * Field::kBlockBytes + Field::kOffset + offset);
  }
  template <int kField>
  STRATA_DEVICE Int4 quants(unsigned block, unsigned offset) const {
    const std::byte* p = at<kField>(block, offset);
    return {static_cast<int>(gather(p)), static_cast<int>(gather(p + 4)),
            static_cast<int>(gather(p + 8)), static_cast<int>(gather(p + 12))};
  }
  template <int kField>
  STRATA_DEVICE Int4 word4(unsigned block, unsigned offset) const {
    return quants<kField>(block, offset);
  }
  template <int kField>
  STRATA_DEVICE Int2 word2(unsigned block, unsigned offset) const {
    const std::byte* p = at<kField>(block, offset);
    return {static_cast<int>(gather(p)), static_cast<int>(gather(p + 4))};
  }
  template <int kField>
  STRATA_DEVICE unsigned word(unsigned block, unsigned offset) const {
    return gather(at<kField>(block, offset));
  }
  template <int kField>
  STRATA_DEVICE std::uint16_t half(unsigned block) const {
    const std::byte* p = at<kField>(block, 0);
    return static_cast<std::uint16_t>(static_cast<unsigned>(p[0]) | static_cast<unsigned>(p[1])
                                                                        << 8);
  }
  template <int kField>
  STRATA_DEVICE unsigned byte(unsigned block) const {
    return static_cast<unsigned>(*at<kField>(block, 0));
  }
};

/// Halves in the low and the high 16 bits.
STRATA_DEVICE float low_half(unsigned word) {
  return half_to_float(static_cast<std::uint16_t>(word & 0xffffu));
}
STRATA_DEVICE float high_half(unsigned word) {
  return half_to_float(static_cast<std::uint16_t>(word >> 16));
}

/// Word i of four.
STRATA_DEVICE unsigned word_of(const Int4& v, int i) {
  return static_cast<unsigned>(i == 0 ? v.x : i == 1 ? v.y : i == 2 ? v.z : v.w);
}

/// Low nibbles to piece 0, high nibbles to piece 1.
STRATA_DEVICE void split_nibbles(const Int4& v, WeightUnit& unit) {
  STRATA_UNROLL
  for (int i = 0; i < 4; ++i) {
    unit.q[i] = static_cast<int>(word_of(v, i) & 0x0f0f0f0fu);
    unit.q[4 + i] = static_cast<int>(word_of(v, i) >> 4 & 0x0f0f0f0fu);
  }
}

/// The weight of byte `i` < 4 of q[j] of a decoded unit.
template <class Codec>
STRATA_DEVICE float unit_weight(const WeightUnit& unit, int j, int i) {
  const int q = static_cast<std::int8_t>(static_cast<unsigned>(unit.q[j]) >> (8 * i));
  const float scaled = unit.scale[j / 4] * static_cast<float>(q - Codec::kOffset);
  if constexpr (Codec::kMins) return scaled + unit.min[j / 4];
  return scaled;
}

}  // namespace strata::STRATA_SIMT
