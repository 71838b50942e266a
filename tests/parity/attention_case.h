#pragma once

#include <vector>

#include "tests/parity/op_run.h"

namespace strata::test {

/// Tokens of one sequence in a step: positions [past, past + count).
struct SequencePart {
  int past;
  int count;
};

/// One run of attention over a cache that the reference filled.
struct AttentionCase {
  int heads = 4;
  int kv_heads = 2;
  int head_dim = 32;
  int page_tokens = 16;
  int window = 0;
  DType k_dtype = DType::F32;
  DType v_dtype = DType::F32;
  std::vector<SequencePart> parts = {{0, 17}, {47, 2}, {30, 1}};
  bool interleaved = false;  ///< tokens of the sequences take turns
  bool padding = false;      ///< every third token has no position
  float q_largest = 3.0F;
};

/// Runs the op and compares every head of every token with the double-precision reference, within
/// a tolerance derived from the lengths of the sums.
void check_attention(Device& device, const AttentionCase& c);

/// Expects of the op that writes `layout` the bytes that quantize makes of its f32 result. False
/// when the device leaves that to quantize.
bool check_attention_layout(Device& device, const AttentionCase& c, Layout layout);

}  // namespace strata::test
