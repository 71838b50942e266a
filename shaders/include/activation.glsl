// Rows of activations as a matmul wants them: f32, Layout::rounded (bf16) or Layout::quantized
// (backends/cpu/kernels/panels.h). A work group writes 4 neighbouring columns per invocation; all
// of its invocations call store_columns() equally often, with columns that rise by 4.
// Needs include/address.glsl; a multiple of 8 invocations.
#include "include/quantized.glsl"

layout(constant_id = 1) const uint LAYOUT = 0u;
const uint kRows = 0u;
const uint kQuantized = 1u;
const uint kRounded = 2u;

// Columns [column, column + 4) of a row of `columns`; beyond the last column v is zero. In
// Layout::rounded the columns are even, so that rows are whole words.
void store_columns(uvec2 row, uint columns, uint column, vec4 v) {
  if (LAYOUT == kQuantized) {
    store_quantized(row, columns, column, v);
    return;
  }
  Words words = Words(row);
  for (uint i = 0u; i < 4u; i += 2u)
    if (column + i < columns)
      words.at[(column + i) >> 1] = bf16_bits(v[i]) | (bf16_bits(v[i + 1u]) << 16);
}
