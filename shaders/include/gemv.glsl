// Few rows of x times w transposed: a work group makes ROWS outputs of each of TOKENS rows of x,
// its lanes divide k among them by units, and each weight is read and decoded once.
// EXPERTS: one row of x, a route; else up to three matrices (x of one layout), one after the other.
// X_INT8: x is Layout::quantized. SUBGROUPS: sums by subgroupAdd. INT_DOT: OpSDotKHR.
// The order of a sum depends on the work group's size and on the dtype alone.
#ifdef SUBGROUPS
#extension GL_KHR_shader_subgroup_arithmetic : require
#endif
#include "include/address.glsl"
#include "include/grid.glsl"
#include "include/matmul_push.glsl"
#include "include/silu.glsl"
#include "include/weights.glsl"
#include "include/x_rows.glsl"
layout(local_size_x_id = 0) in;
layout(constant_id = 6) const uint ROWS = 4u;  // of w; gated: half of them of each matrix
layout(constant_id = 7) const uint TOKENS = 1u;
layout(constant_id = 8) const uint PARTS = 1u;  // most subgroups of a work group, or its lanes
// Pieces of a unit whose code is laid out one after the other: all but where compiling takes longer
// than running.
layout(constant_id = 10) const uint UNROLL = 16u;

const uint kUnrollPieces = UNROLL < kUnitPieces ? UNROLL : kUnitPieces;
const uint kUnrollGroups = kUnrollPieces < 4u ? 1u : kUnrollPieces / 4u;
const uint kOutRows = GATED != 0u ? ROWS / 2u : ROWS;

shared float parts[ROWS * TOKENS * PARTS];

// What a work group is to do.
struct Task {
  uint matrix;
  uint row;       // first of out
  uint rows;      // of out in all
  uint w_row;     // first of w: `row` of the right expert
  uint x_row;     // first of x
  uint out_row;   // out's for x_row
  uint tokens;    // rows of x that there are from x_row
};

#ifdef EXPERTS
#include "include/gemv_route.glsl"
#else
#include "include/gemv_matrix.glsl"
#ifdef X_INT8
#include "include/gemv_quantized.glsl"
#define CAN_QUANTIZE
#endif
#endif

void keep_part(uint at, float part) {
#ifdef SUBGROUPS
  const float sum = subgroupAdd(part);
  if (subgroupElect()) parts[at * PARTS + gl_SubgroupID] = sum;
#else
  parts[at * PARTS + gl_LocalInvocationID.x] = part;
#endif
}

float whole_sum(uint at) {
#ifdef SUBGROUPS
  const uint count = gl_NumSubgroups;
#else
  const uint count = gl_WorkGroupSize.x;
#endif
  float sum = parts[at * PARTS];
  for (uint i = 1u; i < count; ++i) sum += parts[at * PARTS + i];
  return sum;
}

void main() {
  Task task;
  if (!find_task(task)) return;
  WeightRow w_rows[ROWS];
  [[unroll]] for (uint r = 0u; r < ROWS; ++r) {
    const uint row = min(r % kOutRows, task.rows - 1u - task.row);
    w_rows[r] = weight_row(w[r < kOutRows ? task.matrix : 1u], task.w_row + row, k, w_stride);
  }
  const uvec2 x_rows = address_at(x, task.x_row, x_stride);
  uint x_first[TOKENS];  // words; rows that are not there repeat the last
  [[unroll]] for (uint t = 0u; t < TOKENS; ++t)
    x_first[t] = min(t, task.tokens - 1u) * (x_stride >> 2);
  float sums[ROWS * TOKENS];
  [[unroll]] for (uint i = 0u; i < ROWS * TOKENS; ++i) sums[i] = 0.0;

  const uint units = (k + kUnitColumns - 1u) / kUnitColumns;
  for (uint u = gl_LocalInvocationID.x; u < units; u += gl_WorkGroupSize.x) {
    Unit unit[ROWS];
    [[unroll]] for (uint r = 0u; r < ROWS; ++r) unit[r] = load_unit(w_rows[r], u);
#ifdef X_INT8
    for (uint first = 0u; first < kUnitGroups; first += kUnrollGroups) {
      [[unroll]] for (uint j = 0u; j < kUnrollGroups; ++j) {
        const uint g = first + j;
        uvec4 bytes[ROWS];
        [[unroll]] for (uint r = 0u; r < ROWS; ++r)
          [[unroll]] for (uint i = 0u; i < 4u; ++i) bytes[r][i] = group_bytes(unit[r], g, i);
        const uint column = unit_column(u, 4u * g);
        [[unroll]] for (uint t = 0u; t < TOKENS; ++t) {
          const Int8Group xg = int8_group(x_rows, x_first[t], column);
          [[unroll]] for (uint r = 0u; r < ROWS; ++r) {
            const int dot = dot16(bytes[r], xg.bytes) - kOffset * xg.sum;
            float term = unit[r].scale[g] * float(dot);
            if (kHasMinimum) term += unit[r].minimum[g] * float(xg.sum);
            sums[r * TOKENS + t] += term * xg.scale;
          }
        }
      }
    }
#else
    for (uint first = 0u; first < kUnitPieces; first += kUnrollPieces) {
      [[unroll]] for (uint j = 0u; j < kUnrollPieces; ++j) {
        const uint p = first + j;
        vec4 weights[ROWS];
        [[unroll]] for (uint r = 0u; r < ROWS; ++r) weights[r] = unit_piece(unit[r], p);
        [[unroll]] for (uint t = 0u; t < TOKENS; ++t) {
          const vec4 v = x_columns(x_rows, x_first[t], unit_column(u, p));
          [[unroll]] for (uint r = 0u; r < ROWS; ++r) sums[r * TOKENS + t] += dot(weights[r], v);
        }
      }
    }
#endif
  }

  [[unroll]] for (uint i = 0u; i < ROWS * TOKENS; ++i) keep_part(i, sums[i]);
  barrier();
  for (uint i = gl_LocalInvocationID.x; i < kOutRows * TOKENS; i += gl_WorkGroupSize.x) {
    const uint row = task.row + i / TOKENS;
    const uint t = i % TOKENS;
    if (row >= task.rows || t >= task.tokens) continue;
    float value = whole_sum(i);
    if (GATED != 0u) value = silu_times(value, whole_sum(kOutRows * TOKENS + i));
#ifdef CAN_QUANTIZE
    if (QUANTIZED != 0u) {
      store_shared(task, row, t, value);
      continue;
    }
#endif
    store_out(task, row, t, value);
  }
#ifdef CAN_QUANTIZE
  if (QUANTIZED != 0u) quantize_when_last(task);
#endif
}
