#pragma once

#include <cstdint>

#include "backends/cpu/kernels/kernels.h"
#include "backends/cpu/ops/cache.h"
#include "runtime/core/thread_pool.h"
#include "runtime/ops/ops.h"
#include "runtime/ops/step_state.h"

namespace strata::cpu {

/// Accumulators and their running maxima and sums, of the query rows of one item.
struct AttentionSums {
  float* acc;    // (rows, stride)
  float* state;  // (rows, 2): see kernels/attention_task.h
};

/// One thread's scratch memory for items of at most `item_rows` rows.
struct AttentionScratch {
  float* q;       // (item_rows, stride)
  float* scores;  // (item_rows, kScoreStride)
  float* slots;   // (kConvertedSlots, stride)
  std::int32_t* begin;
  std::int32_t* end;
  AttentionSums chunk;
  AttentionSums sums;
};

/// Consecutive tokens [first, last) of one sequence, for the query heads of `kv_heads` kv heads
/// from `kv_head` on. Its rows are ordered by kv head, then by token, then by query head.
struct AttentionItem {
  std::int64_t first;
  std::int64_t last;
  std::int64_t kv_head;
  std::int64_t kv_heads;
};

/// A run of the op: what is the same for all items. The functions below are called by any thread.
struct AttentionRun {
  const Attention& attention;
  const StepState& step;
  const Kernels& kernels;
  const TensorView& q;
  const TensorView& k_pages;
  const TensorView& v_pages;
  const TensorView& out;

  std::int64_t shared_heads() const { return attention.heads / attention.kv_heads; }
  std::int64_t stride() const { return (attention.head_dim + 15) / 16 * 16; }
  /// Rows of each of the item's kv heads, and of all.
  std::int64_t head_rows(const AttentionItem& item) const {
    return (item.last - item.first) * shared_heads();
  }
  std::int64_t rows(const AttentionItem& item) const { return head_rows(item) * item.kv_heads; }
  /// Positions that token t sees; none for padding at a negative position.
  Share visible(std::int64_t t) const;
  /// Chunks [begin, end) of which the item sees a part.
  Share chunks(const AttentionItem& item) const;

  void begin(const AttentionItem& item, const AttentionSums& sums) const;
  /// The item's queries against one chunk. Uses all of `scratch` but its sums.
  void run_chunk(const AttentionItem& item, std::int64_t chunk, const AttentionScratch& scratch,
                 const AttentionSums& result) const;
  void merge(const AttentionItem& item, const AttentionSums& chunk,
             const AttentionSums& sums) const;
  /// The item's rows of `out`.
  void finish(const AttentionItem& item, const AttentionSums& sums) const;

 private:
  void load_queries(const AttentionItem& item, float* rows) const;
  /// The item's rows in `scratch` and what they see of the chunk. Returns slots that any row sees.
  Share load_rows(const AttentionItem& item, std::int64_t chunk,
                  const AttentionScratch& scratch) const;
};

}  // namespace strata::cpu
