// Weights of every dtype, as pieces of 4 columns, read by 32-bit loads from the file's own rows (of
// any alignment) or from Layout::planes16 (runtime/core/planes.h).
//
// A row is divided into units: what one wide load of a dtype's quants covers. A unit is 1, 2, 8 or
// 16 pieces; four pieces are a group of 16 columns with one scale, and groups of a unit need not be
// neighbours. unit_column() says where a piece lies. Of a quantized unit,
//   weight = scale * (byte - kOffset) + minimum,
// with bytes unsigned where kOffset is used, and signed (kOffset = 0) for Q8_0 and codebooks.
// Needs include/address.glsl.

layout(constant_id = 1) const uint DTYPE = 0u;  // type ids of GGUF, as runtime/core/dtype.def has
layout(constant_id = 2) const uint PLANES = 0u;  // 1: planes16; 0: rows
layout(constant_id = 3) const uint ALIGNED = 0u;  // float dtypes, 1: rows begin on 16 bytes and k
                                                   // is whole units

const uint F32 = 0u;
const uint F16 = 1u;
const uint Q4_0 = 2u;
const uint Q4_1 = 3u;
const uint Q5_0 = 6u;
const uint Q5_1 = 7u;
const uint Q8_0 = 8u;
const uint Q2_K = 10u;
const uint Q3_K = 11u;
const uint Q4_K = 12u;
const uint Q5_K = 13u;
const uint Q6_K = 14u;
const uint IQ4_NL = 20u;
const uint IQ4_XS = 23u;
const uint BF16 = 30u;
const uint MXFP4 = 39u;

const bool kHalfFloats = DTYPE == F16 || DTYPE == BF16;
const bool kFloats = DTYPE == F32 || kHalfFloats;
const bool kLargeBlocks = (DTYPE >= Q2_K && DTYPE <= Q6_K) || DTYPE == IQ4_XS;
const bool kWideUnits = DTYPE == Q2_K || DTYPE == Q3_K || DTYPE == Q6_K;
const bool kHasMinimum =
    DTYPE == Q4_1 || DTYPE == Q5_1 || DTYPE == Q2_K || DTYPE == Q4_K || DTYPE == Q5_K;

// Columns of a block in the file, of a unit; pieces and groups of a unit.
const uint kBlockColumns = kFloats ? 1u : kLargeBlocks ? 256u : 32u;
const uint kUnitPieces = DTYPE == F32 ? 1u : kHalfFloats ? 2u : kWideUnits ? 16u : 8u;
const uint kUnitColumns = kUnitPieces * 4u;
const uint kUnitGroups = kUnitPieces >= 8u ? kUnitPieces / 4u : 1u;
const uint kBlockUnits = kFloats ? 1u : kBlockColumns / kUnitColumns;
const int kOffset = DTYPE == Q4_0   ? 8
                    : DTYPE == Q5_0 ? 16
                    : DTYPE == Q3_K ? 4
                    : DTYPE == Q6_K ? 32
                                    : 0;
const bool kSignedBytes =
    DTYPE == Q8_0 || DTYPE == IQ4_NL || DTYPE == IQ4_XS || DTYPE == MXFP4;

// Bytes of a block in the file.
const uint kBlockBytes = DTYPE == F32                       ? 4u
                         : kHalfFloats                      ? 2u
                         : DTYPE == Q4_0 || DTYPE == IQ4_NL ? 18u
                         : DTYPE == Q4_1                    ? 20u
                         : DTYPE == Q5_0                    ? 22u
                         : DTYPE == Q5_1                    ? 24u
                         : DTYPE == Q8_0                    ? 34u
                         : DTYPE == Q2_K                    ? 84u
                         : DTYPE == Q3_K                    ? 110u
                         : DTYPE == Q4_K                    ? 144u
                         : DTYPE == Q5_K                    ? 176u
                         : DTYPE == Q6_K                    ? 210u
                         : DTYPE == IQ4_XS                  ? 136u
                                                            : 17u;  // MXFP4

const uint kPanelRows = 16u;

// A row of a matrix, where its units are read from.
struct WeightRow {
  uvec2 address;  // of the panel, or of the row, rounded down to 4 bytes
  uint skip;      // bytes that rounding down took away
  uint row;       // of the panel
  uint columns;
};

// Row `row` of the matrix (n, columns) at `matrix`; `stride`: bytes from row to row (rows only).
WeightRow weight_row(uvec2 matrix, uint row, uint columns, uint stride) {
  WeightRow w;
  w.columns = columns;
  w.row = PLANES != 0u ? row % kPanelRows : 0u;
  w.address = PLANES != 0u
                  ? address_at(matrix, row / kPanelRows,
                               kPanelRows * (columns / kBlockColumns) * kBlockBytes)
                  : address_at(matrix, row, stride);
  w.skip = w.address.x & 3u;
  w.address.x &= ~3u;
  return w;
}

// Where a field of `bytes` bytes of block `block` begins: in the file it lies at `offset` of the
// block; in planes, `before` bytes per block are in the planes before its own.
uint field(WeightRow w, uint block, uint offset, uint before, uint bytes) {
  if (PLANES == 0u) return block * kBlockBytes + offset;
  const uint blocks = w.columns / kBlockColumns;
  return kPanelRows * blocks * before + (w.row * blocks + block) * bytes;
}

// 4 bytes at any offset. Reads no word that holds none of them.
uint word_at(WeightRow w, uint offset) {
  Words words = Words(w.address);
  if (PLANES != 0u) return words.at[offset >> 2];
  const uint first = offset + w.skip;
  const uint shift = (first & 3u) * 8u;
  const uint low = words.at[first >> 2];
  const uint high = words.at[(first + 3u) >> 2];
  return shift == 0u ? low : (low >> shift) | (high << (32u - shift));
}

// 16 bytes; in planes they lie on a multiple of 16.
uvec4 quad_at(WeightRow w, uint offset) {
  if (PLANES != 0u) return Words4(w.address).at[offset >> 4];
  return uvec4(word_at(w, offset), word_at(w, offset + 4u), word_at(w, offset + 8u),
               word_at(w, offset + 12u));
}

uint byte_at(WeightRow w, uint offset) {
  const uint at = offset + w.skip;
  return (Words(w.address).at[at >> 2] >> ((at & 3u) * 8u)) & 0xffu;
}

// 2 bytes; in planes they do not straddle words.
uint short_at(WeightRow w, uint offset) {
  const uint at = offset + w.skip;
  if (PLANES != 0u || (at & 3u) != 3u)
    return (Words(w.address).at[at >> 2] >> ((at & 3u) * 8u)) & 0xffffu;
  return byte_at(w, offset) | (byte_at(w, offset + 1u) << 8);
}

float half_at(WeightRow w, uint offset) { return unpackHalf2x16(short_at(w, offset)).x; }

// Byte i of 16 bytes in registers.
uint byte_of(uvec4 bytes, uint i) {
  const uint word = i < 8u ? (i < 4u ? bytes.x : bytes.y) : (i < 12u ? bytes.z : bytes.w);
  return (word >> ((i & 3u) * 8u)) & 0xffu;
}

// What group_bytes() and group_piece() need: quants (a, b), their high bits (c), and per group its
// scale and minimum. `part` is where in its block the unit lies, as far as shifts depend on it.
struct Unit {
  uvec4 a;
  uvec4 b;
  uvec4 c;
  vec4 scale;
  vec4 minimum;
  uint part;
};

#include "include/weights_floats.glsl"
#include "include/weights_blocks.glsl"

// A unit of zeros.
Unit no_unit() {
  Unit unit;
  unit.a = uvec4(0);
  unit.b = uvec4(0);
  unit.c = uvec4(0);
  unit.scale = vec4(0);
  unit.minimum = vec4(0);
  unit.part = 0u;
  return unit;
}

// Unit `u` of a row.
Unit load_unit(WeightRow w, uint u) {
  Unit unit = no_unit();
  if (kFloats)
    load_floats(w, u, unit);
  else
    load_block(w, u / kBlockUnits, u % kBlockUnits, unit);
  return unit;
}

// First column of piece `p` (0 .. kUnitPieces - 1) of unit `u`.
uint unit_column(uint u, uint p) {
  const uint g = p >> 2;
  const uint inside = (p & 3u) * 4u;
  if (kWideUnits) return (u >> 1) * 128u + g * 32u + (u & 1u) * 16u + inside;
  if (DTYPE == Q4_K || DTYPE == Q5_K) return (u >> 1) * 64u + g * 32u + (u & 1u) * 16u + inside;
  return u * kUnitColumns + p * 4u;
}

// The 4 weights of piece 4 * g + i.
vec4 group_piece(Unit unit, uint g, uint i) {
  if (kFloats) return floats_piece(unit, i);
  const uint bytes = group_bytes(unit, g, i);
  ivec4 q = ivec4(bytes, bytes >> 8, bytes >> 16, bytes >> 24);
  if (kSignedBytes)
    q = (q << 24) >> 24;
  else
    q = (q & 0xff) - kOffset;
  const vec4 product = unit.scale[g] * vec4(q);
  return kHasMinimum ? product + unit.minimum[g] : product;
}

// The 4 weights of piece `p`.
vec4 unit_piece(Unit unit, uint p) { return group_piece(unit, p >> 2, p & 3u); }
