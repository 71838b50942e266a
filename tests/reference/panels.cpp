#include "tests/reference/panels.h"

#include <cmath>
#include <limits>

#include "tests/reference/dequantize.h"

namespace strata::reference {
namespace {

// One unit of a panel as one row sees it. Offsets are bytes from the unit's start.
struct Unit {
  const std::byte* data;
  int row;

  int u8(std::int64_t at) const { return std::to_integer<int>(data[at]); }
  /// f16 name[16 rows] at `at`.
  double half(std::int64_t at) const {
    return half_value(static_cast<std::uint16_t>(u8(at + 2 * row) + 256 * u8(at + 2 * row + 1)));
  }
  /// u8 name[n][16 rows] at `at`: entry i.
  int byte(std::int64_t at, std::int64_t i) const { return u8(at + 16 * i + row); }
  /// Byte i of the row in vector v of those that begin at `at`.
  int vector(std::int64_t at, std::int64_t v, std::int64_t i) const {
    return u8(at + 64 * v + 4 * row + i);
  }

  /// Column c of a 32-column block whose quants of each kind begin at `at`.
  int bytes(std::int64_t at, std::int64_t c) const { return vector(at, c / 4, c % 4); }
  int nibble(std::int64_t at, std::int64_t c) const {
    const int both = vector(at, c % 16 / 4, c % 4);
    return c < 16 ? both % 16 : both / 16;
  }
  int bit(std::int64_t at, std::int64_t c) const { return vector(at, 0, c % 4) >> (c / 4) & 1; }
  int pair(std::int64_t at, std::int64_t c) const {
    return vector(at, c / 16, c % 4) >> (2 * (c % 16 / 4)) & 3;
  }
  /// Six-bit a and b of block j, whose low nibbles begin at `at`.
  int six_a(std::int64_t at, std::int64_t j) const {
    return byte(at, j) % 16 + 16 * (high(at, j) % 4);
  }
  int six_b(std::int64_t at, std::int64_t j) const {
    return byte(at, j) / 16 + 16 * (high(at, j) / 4);
  }

 private:
  int high(std::int64_t at, std::int64_t j) const {
    const int both = byte(at + 8 * 16, j / 2);
    return j % 2 == 0 ? both % 16 : both / 16;
  }
};

double iq4_value(int index) {
  const double values[] = {-127, -104, -83, -65, -49, -35, -22, -10,
                           1,    13,   25,  38,  53,  69,  89,  113};
  return values[index];
}

double e2m1_value(int index) {
  const double values[] = {0, 0.5, 1, 1.5, 2, 3, 4, 6};
  return index < 8 ? values[index] : -values[index - 8];
}

// Columns 0 .. 255 of the units of 256 columns: j is the 32-column block, c the column in it.
double value_of_256(DType dtype, Unit u, std::int64_t column) {
  const std::int64_t j = column / 32;
  const std::int64_t c = column % 32;
  switch (dtype) {
    case DType::Q2_K: {
      const int sm = u.byte(64, column / 16);
      return u.half(0) * (sm % 16) * u.pair(320 + 128 * j, c) - u.half(32) * (sm / 16);
    }
    case DType::Q3_K: {
      const std::int64_t at = 224 + 192 * j;
      const int scale = (c < 16 ? u.six_a(32, j) : u.six_b(32, j)) - 32;
      return u.half(0) * scale * (u.pair(at + 64, c) + 4 * u.bit(at, c) - 4);
    }
    case DType::Q4_K:
      return u.half(0) * u.six_a(64, j) * u.nibble(256 + 256 * j, c) - u.half(32) * u.six_b(64, j);
    case DType::Q5_K: {
      const std::int64_t at = 256 + 320 * j;
      return u.half(0) * u.six_a(64, j) * (u.nibble(at + 64, c) + 16 * u.bit(at, c)) -
             u.half(32) * u.six_b(64, j);
    }
    case DType::Q6_K: {
      const std::int64_t at = 288 + 384 * j;
      const int scale = u.byte(32, column / 16);
      return u.half(0) * (scale < 128 ? scale : scale - 256) *
             (u.nibble(at + 128, c) + 16 * u.pair(at, c) - 32);
    }
    case DType::IQ4_XS: {
      const int both = u.byte(32, j / 2);
      const int low = j % 2 == 0 ? both % 16 : both / 16;
      const int high = u.byte(96, j / 4) >> (2 * (j % 4)) & 3;
      return u.half(0) * (low + 16 * high - 32) * iq4_value(u.nibble(128 + 256 * j, c));
    }
    default:
      return std::numeric_limits<double>::quiet_NaN();
  }
}

double value_of_32(DType dtype, Unit u, std::int64_t c) {
  switch (dtype) {
    case DType::Q8_0:
      return u.half(0) * (u.bytes(32, c) - 128);
    case DType::Q4_0:
      return u.half(0) * (u.nibble(32, c) - 8);
    case DType::IQ4_NL:
      return u.half(0) * iq4_value(u.nibble(32, c));
    case DType::MXFP4:
      return std::ldexp(e2m1_value(u.nibble(16, c)), u.u8(u.row) - 127);
    case DType::Q4_1:
      return u.half(0) * u.nibble(64, c) + u.half(32);
    case DType::Q5_0:
      return u.half(0) * (u.nibble(96, c) + 16 * u.bit(32, c) - 16);
    case DType::Q5_1:
      return u.half(0) * (u.nibble(128, c) + 16 * u.bit(64, c)) + u.half(32);
    default:
      return std::numeric_limits<double>::quiet_NaN();
  }
}

}  // namespace

double panel_value(DType dtype, const std::byte* panel, int row, std::int64_t column) {
  const DTypeInfo& info = dtype_info(dtype);
  const std::int64_t unit = column / info.block_elements;
  const std::int64_t in_unit = column % info.block_elements;
  const Unit u{panel + 16 * unit * static_cast<std::int64_t>(info.block_bytes), row};
  return info.block_elements == 256 ? value_of_256(dtype, u, in_unit)
                                    : value_of_32(dtype, u, in_unit);
}

}  // namespace strata::reference
