// Rows of x as halves, which half_rows.comp makes for gemm_tiles.glsl: k halves, zeros up to a
// multiple of 32 columns, and 16 bytes of which the first 4 are the row's exponent e. The halves
// are x * 2^-e, with the largest of a row between 2^14 and 2^15: halves end at 65504, and what is
// below 2^-28 of the largest loses digits or is zero. Infinities and NaN stay.
// Needs include/address.glsl.
const uint kHalfColumns = 32u;
const uint kExponentBytes = 16u;

uint half_columns(uint columns) { return (columns + kHalfColumns - 1u) / kHalfColumns * kHalfColumns; }

// 2^e for e in -126 .. 127.
float power_of_two(int e) { return uintBitsToFloat(uint(127 + e) << 23); }

// The e for which |x| lies in [2^e, 2^(e + 1)), from its bits; -127 for denormals and zero.
int exponent_of(uint magnitude) { return int(magnitude >> 23) - 127; }

int row_exponent(uvec2 rows, uint row, uint stride) {
  return Ints(address_at(rows, row, stride)).at[(stride - kExponentBytes) >> 2];
}
