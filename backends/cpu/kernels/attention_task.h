#pragma once

#include <cstddef>
#include <cstdint>

#include "runtime/core/dtype.h"

namespace strata::cpu {

/// Positions [c * kAttentionChunk, (c + 1) * kAttentionChunk) of a sequence are reduced on their
/// own and then merged with what came before, in order: the result knows this number, but not how
/// many threads there were or what else was in the batch.
inline constexpr std::int64_t kAttentionChunk = 512;

/// Floats from one row of scores to the next: whole tiles may be stored at the chunk's last slot.
inline constexpr std::int64_t kScoreStride = kAttentionChunk + 16;

/// Rows of `stride` floats in the scratch memory of attention_scores and attention_values.
inline constexpr std::int64_t kConvertedSlots = 32;

/// Query rows, (token, head) pairs of one sequence and kv head, against one chunk. `stride` is dim
/// rounded up to 16; all pointers are 64-byte aligned. A slot is a position within the chunk.
struct AttentionRows {
  std::int64_t rows;
  std::int64_t dim;
  std::int64_t stride;
  float scale;
  const float* q;             // (rows, stride), zeros from dim on
  const std::int32_t* begin;  // (rows): slots [begin, end) are seen
  const std::int32_t* end;    // (rows)
  float* scores;              // (rows, kScoreStride)
  float* acc;                 // (rows, stride): sum of exp(score - largest) * value
  float* state;               // (rows, 2): largest score, sum of exp(score - largest)
};

/// Keys or values of the slots [first, first + count) of a chunk: rows that lie `row_bytes` apart,
/// up to `end`. What will be read then is at `next`, if known: it is fetched in time.
struct CacheSlots {
  DType dtype;
  const std::byte* data;
  std::int64_t row_bytes;
  std::int64_t first;
  std::int64_t count;
  const std::byte* end;
  const std::byte* next;
};

}  // namespace strata::cpu
