#include "backends/cpu/ops/attention_work.h"

#include <algorithm>
#include <cmath>

#include "backends/cpu/ops/common.h"

namespace strata::cpu {

Share AttentionRun::visible(std::int64_t t) const {
  const std::int64_t end = std::int64_t{step.positions()[t]} + 1;
  if (end <= 0) return {0, 0};
  const std::int64_t window = attention.window;
  return {window > 0 && end > window ? end - window : 0, end};
}

Share AttentionRun::chunks(const AttentionItem& item) const {
  Share chunks{0, 0};
  for (std::int64_t t = item.first; t < item.last; ++t) {
    const Share sees = visible(t);
    if (sees.begin >= sees.end) continue;
    const Share mine{sees.begin / kAttentionChunk, (sees.end - 1) / kAttentionChunk + 1};
    chunks = chunks.begin == chunks.end
                 ? mine
                 : Share{std::min(chunks.begin, mine.begin), std::max(chunks.end, mine.end)};
  }
  return chunks;
}

void AttentionRun::load_queries(const AttentionItem& item, float* rows) const {
  const std::int64_t dim = attention.head_dim;
  for (std::int64_t kv = item.kv_head; kv < item.kv_head + item.kv_heads; ++kv) {
    for (std::int64_t t = item.first; t < item.last; ++t) {
      const float* heads = f32_row(q, t) + kv * shared_heads() * dim;
      for (std::int64_t h = 0; h < shared_heads(); ++h, rows += stride()) {
        std::copy_n(heads + h * dim, dim, rows);
        std::fill(rows + dim, rows + stride(), 0.0F);
      }
    }
  }
}

void AttentionRun::begin(const AttentionItem& item, const AttentionSums& sums) const {
  std::fill_n(sums.acc, rows(item) * stride(), 0.0F);
  for (std::int64_t r = 0; r < rows(item); ++r) {
    sums.state[2 * r] = -INFINITY;
    sums.state[2 * r + 1] = 0.0F;
  }
}

Share AttentionRun::load_rows(const AttentionItem& item, std::int64_t chunk,
                              const AttentionScratch& scratch) const {
  const std::int64_t origin = chunk * kAttentionChunk;
  Share needed{kAttentionChunk, 0};
  for (std::int64_t t = item.first; t < item.last; ++t) {
    const Share sees = visible(t);
    Share slots{std::max(sees.begin - origin, std::int64_t{0}),
                std::min(sees.end - origin, kAttentionChunk)};
    if (slots.begin < slots.end)
      needed = {std::min(needed.begin, slots.begin), std::max(needed.end, slots.end)};
    else
      slots = {0, 0};
    for (std::int64_t kv = 0; kv < item.kv_heads; ++kv) {
      const std::int64_t row = kv * head_rows(item) + (t - item.first) * shared_heads();
      std::fill_n(scratch.begin + row, shared_heads(), static_cast<std::int32_t>(slots.begin));
      std::fill_n(scratch.end + row, shared_heads(), static_cast<std::int32_t>(slots.end));
    }
  }
  load_queries(item, scratch.q);
  return needed;
}

void AttentionRun::run_chunk(const AttentionItem& item, std::int64_t chunk,
                             const AttentionScratch& scratch, const AttentionSums& result) const {
  const Share needed = load_rows(item, chunk, scratch);
  const auto rows_at = [&](std::int64_t row, std::int64_t count) {
    return AttentionRows{count,
                         attention.head_dim,
                         stride(),
                         attention.scale,
                         scratch.q + row * stride(),
                         scratch.begin + row,
                         scratch.end + row,
                         scratch.scores + row * kScoreStride,
                         result.acc + row * stride(),
                         result.state + 2 * row};
  };
  const std::int32_t* pages = step.pages(step.sequences()[item.first]);
  const std::int64_t page_tokens = k_pages.shape[2];
  const std::int64_t first = chunk * kAttentionChunk + needed.begin;
  const std::int64_t last = chunk * kAttentionChunk + needed.end;
  const auto row_at = [&](const TensorView& cache, std::int64_t position, std::int64_t kv) {
    return cache_row(cache, pages[position / page_tokens], item.kv_head + kv,
                     position % page_tokens);
  };
  // Page by page, in each the heads: the order in which they lie in memory.
  const auto each_page = [&](const TensorView& cache, const std::byte* then, auto&& body) {
    for (std::int64_t p = first; p < last;) {
      const std::int64_t count = std::min(page_tokens - p % page_tokens, last - p);
      for (std::int64_t kv = 0; kv < item.kv_heads; ++kv) {
        const std::byte* data = row_at(cache, p, kv);
        const std::byte* next = kv + 1 < item.kv_heads ? row_at(cache, p, kv + 1)
                                : p + count < last     ? row_at(cache, p + count, 0)
                                                       : then;
        body(rows_at(kv * head_rows(item), head_rows(item)),
             CacheSlots{cache.dtype, data, cache.row_stride, p - chunk * kAttentionChunk, count,
                        data + count * cache.row_stride, next},
             scratch.slots);
      }
      p += count;
    }
  };
  each_page(k_pages, first < last ? row_at(v_pages, first, 0) : nullptr, kernels.attention_scores);
  kernels.attention_softmax(rows_at(0, rows(item)));
  each_page(v_pages, nullptr, kernels.attention_values);
}

void AttentionRun::merge(const AttentionItem& item, const AttentionSums& chunk,
                         const AttentionSums& sums) const {
  kernels.attention_merge(chunk.acc, chunk.state, rows(item), stride(), sums.acc, sums.state);
}

void AttentionRun::finish(const AttentionItem& item, const AttentionSums& sums) const {
  const std::int64_t dim = attention.head_dim;
  for (std::int64_t r = 0; r < rows(item); ++r) {
    const std::int64_t head =
        (item.kv_head + r / head_rows(item)) * shared_heads() + r % shared_heads();
    const std::int64_t token = item.first + r % head_rows(item) / shared_heads();
    kernels.attention_finish(sums.acc + r * stride(), sums.state + 2 * r, dim,
                             f32_row(out, token) + head * dim);
  }
}

}  // namespace strata::cpu
