#include <algorithm>
#include <atomic>

#include "backends/cpu/ops/attention_work.h"
#include "backends/cpu/ops/common.h"

namespace strata::cpu {
namespace {

// Query rows of an item: many share what is read of the cache, few leave work for all threads.
constexpr std::int64_t kItemRows = 64;
// Items per thread below which several threads share the chunks of an item.
constexpr std::int64_t kItemsPerThread = 8;
// Bytes of a page that an item reads in one go, if its few rows leave it the choice: the hardware
// reads ahead in runs of memory, and the heads of a page lie one behind the other.
constexpr std::int64_t kRunBytes = 64 * 1024;
// Items per thread below which they take one kv head each all the same.
constexpr std::int64_t kRunsPerThread = 4;
// Chunks for whose results a split token has a place; more are done in turns.
constexpr std::int64_t kPlaces = 64;

bool supports(const OpDesc& op, const DeviceInfo&) {
  const Attention& attention = std::get<Attention>(op.attributes);
  return is_f32_rows(op.in[0]) && is_f32_rows(op.out[0]) && attention.window >= 0 &&
         attention.kv_heads > 0 && attention.heads % attention.kv_heads == 0 &&
         is_cache(op.in[1], attention.kv_heads, attention.head_dim) &&
         is_cache(op.in[2], attention.kv_heads, attention.head_dim) &&
         op.in[1].shape[2] == op.in[2].shape[2];
}

constexpr std::int64_t padded(std::int64_t count) { return (count + 15) / 16 * 16; }

// Parts of the workspace in units of four bytes, each a multiple of 64 bytes.
struct Sizes {
  Sizes(const Attention& attention, std::int64_t tokens)
      : stride(padded(attention.head_dim)),
        shared_heads(attention.heads / attention.kv_heads),
        group_tokens(std::clamp<std::int64_t>(kItemRows / shared_heads, 1, tokens)),
        item_rows(std::max(group_tokens * shared_heads,
                           std::min(attention.kv_heads * shared_heads, kItemRows))),
        thread(item_rows * (stride + kScoreStride) + kConvertedSlots * stride +
               2 * padded(item_rows) + 2 * sums(item_rows)),
        items(tokens * attention.kv_heads),
        places((kPlaces + 1) * attention.kv_heads * sums(shared_heads)),
        // starts of groups, counters of items
        shared(padded(tokens + 1) + padded(items)) {}

  std::int64_t sums(std::int64_t rows) const { return rows * stride + padded(2 * rows); }
  // Heads of an item for groups of `rows` rows per head and `pages` of them: of those that make
  // whole runs of memory the most.
  std::int64_t kv_heads(const Attention& attention, std::int64_t rows, std::int64_t head_bytes,
                        std::int64_t most) const {
    std::int64_t heads = 1;
    for (std::int64_t n = 2; n <= attention.kv_heads; ++n)
      if (attention.kv_heads % n == 0 && n * rows <= item_rows && n * head_bytes <= kRunBytes &&
          n <= most)
        heads = n;
    return heads;
  }

  std::int64_t stride;
  std::int64_t shared_heads;
  std::int64_t group_tokens;
  std::int64_t item_rows;
  std::int64_t thread;
  std::int64_t items;
  std::int64_t places;
  std::int64_t shared;
};

AttentionSums sums_at(float* memory, const Sizes& sizes, std::int64_t rows) {
  return {memory, memory + rows * sizes.stride};
}

AttentionScratch scratch_at(float* memory, const Sizes& sizes) {
  const auto take = [&](std::int64_t floats) {
    float* part = memory;
    memory += floats;
    return part;
  };
  AttentionScratch scratch{};
  scratch.q = take(sizes.item_rows * sizes.stride);
  scratch.scores = take(sizes.item_rows * kScoreStride);
  scratch.slots = take(kConvertedSlots * sizes.stride);
  scratch.begin = reinterpret_cast<std::int32_t*>(take(padded(sizes.item_rows)));
  scratch.end = reinterpret_cast<std::int32_t*>(take(padded(sizes.item_rows)));
  scratch.chunk = sums_at(take(sizes.sums(sizes.item_rows)), sizes, sizes.item_rows);
  scratch.sums = sums_at(take(sizes.sums(sizes.item_rows)), sizes, sizes.item_rows);
  return scratch;
}

// A step's items, and the memory that they share.
struct Batch {
  const AttentionRun& run;
  const Sizes& sizes;
  std::int32_t* starts;  // (groups + 1): first token of each group
  std::int64_t groups;
  std::int32_t* left;  // (items): chunks of a turn that are not done
  float* places;

  std::int64_t kv_heads;  // of an item: a divisor of all

  std::int64_t group_items() const { return run.attention.kv_heads / kv_heads; }
  std::int64_t items() const { return groups * group_items(); }
  // The last are those that see the most.
  AttentionItem item(std::int64_t i) const {
    const std::int32_t* group = starts + i / group_items();
    return {group[0], group[1], i % group_items() * kv_heads, kv_heads};
  }
};

// Cuts the batch into groups of consecutive tokens of one sequence. Returns how many.
std::int64_t find_groups(const std::int32_t* sequences, std::int64_t tokens, std::int64_t largest,
                         std::int32_t* starts) {
  std::int64_t groups = 0;
  for (std::int64_t t = 0; t < tokens; ++t) {
    const bool joins =
        groups > 0 && sequences[t] == sequences[t - 1] && t - starts[groups - 1] < largest;
    if (!joins) starts[groups++] = static_cast<std::int32_t>(t);
  }
  starts[groups] = static_cast<std::int32_t>(tokens);
  return groups;
}

// Elements of keys that the batch's queries are multiplied with.
std::int64_t elements_seen(const AttentionRun& run) {
  std::int64_t positions = 0;
  for (std::int64_t t = 0; t < run.q.rows(); ++t) {
    const Share sees = run.visible(t);
    positions += sees.end - sees.begin;
  }
  return positions * run.q.columns();
}

void run_item(const AttentionRun& run, const AttentionItem& item, const AttentionScratch& scratch) {
  run.begin(item, scratch.sums);
  const Share chunks = run.chunks(item);
  for (std::int64_t c = chunks.begin; c < chunks.end; ++c) {
    run.run_chunk(item, c, scratch, scratch.chunk);
    run.merge(item, scratch.chunk, scratch.sums);
  }
  run.finish(item, scratch.sums);
}

// The chunks [first, first + count) of all items: a turn of a split batch.
struct Turn {
  std::int64_t first;
  std::int64_t count;
  std::int64_t rows;  // of the largest item

  Share of(const Share& chunks) const {
    return {std::clamp(chunks.begin, first, first + count),
            std::clamp(chunks.end, first, first + count)};
  }
};

// Where a split item has its sums, and behind them those of the turn's chunks.
AttentionSums place_of(const Batch& batch, const Turn& turn, std::int64_t i, std::int64_t part) {
  const std::int64_t at = (i * (turn.count + 1) + part) * batch.sizes.sums(turn.rows);
  return sums_at(batch.places + at, batch.sizes, turn.rows);
}

// One chunk of item i. Who does an item's last one of the turn merges them all, in order.
void run_part(const Batch& batch, const Turn& turn, std::int64_t i, std::int64_t chunk,
              const AttentionScratch& scratch) {
  const AttentionRun& run = batch.run;
  const AttentionItem item = batch.item(i);
  const Share chunks = run.chunks(item);
  const Share mine = turn.of(chunks);
  if (chunk < mine.begin || chunk >= mine.end) return;
  run.run_chunk(item, chunk, scratch, place_of(batch, turn, i, 1 + chunk - turn.first));
  if (std::atomic_ref(batch.left[i]).fetch_sub(1, std::memory_order_acq_rel) != 1) return;
  const AttentionSums sums = place_of(batch, turn, i, 0);
  if (mine.begin == chunks.begin) run.begin(item, sums);
  for (std::int64_t c = mine.begin; c < mine.end; ++c)
    run.merge(item, place_of(batch, turn, i, 1 + c - turn.first), sums);
  if (mine.end == chunks.end) run.finish(item, sums);
}

// Calls body(index, scratch) for every index below `count`, the largest first, on whatever thread
// is free: no index depends on another, so who computes it cannot be told from the result.
template <class Body>
void each_index(CpuStream& stream, const Sizes& sizes, float* scratch, std::int64_t count,
                std::int64_t tokens, bool parallel, const Body& body) {
  std::atomic<std::int64_t> left{count};
  const auto run_some = [&](int thread, int) {
    const AttentionScratch own = scratch_at(scratch + thread * sizes.thread, sizes);
    for (;;) {
      const std::int64_t i = left.fetch_sub(1, std::memory_order_relaxed) - 1;
      if (i < 0) return;
      body(i, own);
    }
  };
  if (parallel)
    stream.run(tokens, run_some);
  else
    run_some(0, 1);
}

// Chunks of a turn when the batch is worth splitting; else 0.
std::int64_t split_chunks(const Batch& batch, std::int64_t threads, std::int64_t rows,
                          std::int64_t longest) {
  const std::int64_t items = batch.items();
  if (items >= threads * kItemsPerThread || longest < 2) return 0;
  return batch.sizes.places / (items * batch.sizes.sums(rows)) - 1;
}

void run_split(CpuStream& stream, const Batch& batch, float* scratch, Turn turn, Share all) {
  const std::int64_t items = batch.items();
  for (std::int64_t i = 0; i < items; ++i) {
    const AttentionItem item = batch.item(i);
    const Share chunks = batch.run.chunks(item);
    if (chunks.begin < chunks.end) continue;
    const AttentionSums sums = place_of(batch, turn, i, 0);
    batch.run.begin(item, sums);
    batch.run.finish(item, sums);
  }
  for (turn.first = all.begin; turn.first < all.end; turn.first += turn.count) {
    for (std::int64_t i = 0; i < items; ++i) {
      const Share mine = turn.of(batch.run.chunks(batch.item(i)));
      batch.left[i] = static_cast<std::int32_t>(mine.end - mine.begin);
    }
    each_index(stream, batch.sizes, scratch, items * turn.count, batch.run.q.rows(), true,
               [&](std::int64_t i, const AttentionScratch& own) {
                 run_part(batch, turn, i / turn.count, turn.first + i % turn.count, own);
               });
  }
}

// Chunks that any group sees; `tokens` is set to those of the largest group.
Share chunks_of(const AttentionRun& run, const std::int32_t* starts, std::int64_t groups,
                std::int64_t& tokens) {
  Share all{0, 0};
  for (std::int64_t g = 0; g < groups; ++g) {
    const Share mine = run.chunks({starts[g], starts[g + 1], 0, 1});
    tokens = std::max<std::int64_t>(tokens, starts[g + 1] - starts[g]);
    if (mine.begin < mine.end)
      all = all.begin == all.end
                ? mine
                : Share{std::min(all.begin, mine.begin), std::max(all.end, mine.end)};
  }
  return all;
}

void run(Stream& stream, const PreparedOp& op, const Operands& operands, Workspace workspace) {
  CpuStream& s = cpu_stream(stream);
  const Attention& attention = std::get<Attention>(op.desc.attributes);
  const AttentionRun run{attention,      *operands.in[3].as<const StepState>(),
                         s.kernels(),    operands.in[0],
                         operands.in[1], operands.in[2],
                         operands.out[0]};
  const std::int64_t threads = s.pool().size();
  const Sizes sizes(attention, op.desc.in[0].shape.rows());
  float* scratch = reinterpret_cast<float*>(workspace.data());
  auto* starts = reinterpret_cast<std::int32_t*>(scratch + threads * sizes.thread);
  const std::int64_t groups =
      find_groups(run.step.sequences(), run.q.rows(), sizes.group_tokens, starts);
  std::int32_t* left = starts + (sizes.shared - padded(sizes.items));
  const std::int64_t workers = s.threads(run.q.rows());
  const bool parallel = workers > 1 && elements_seen(run) >= kWorthAPool;
  std::int64_t tokens = 0;  // of the largest group
  const Share all = chunks_of(run, starts, groups, tokens);
  const std::int64_t head_rows = tokens * run.shared_heads();
  const std::int64_t runs = groups * attention.kv_heads * (all.end - all.begin);
  const std::int64_t kv_heads =
      sizes.kv_heads(attention, head_rows, run.k_pages.shape[2] * run.k_pages.row_stride,
                     parallel ? runs / (workers * kRunsPerThread) : runs);
  const Batch batch{
      run, sizes, starts, groups, left, scratch + threads * sizes.thread + sizes.shared, kv_heads};
  const std::int64_t rows = head_rows * kv_heads;
  const std::int64_t count =
      parallel
          ? std::min(split_chunks(batch, workers, rows, all.end - all.begin), all.end - all.begin)
          : 0;
  if (count > 0) return run_split(s, batch, scratch, {0, count, rows}, all);
  each_index(
      s, sizes, scratch, batch.items(), run.q.rows(), parallel,
      [&](std::int64_t i, const AttentionScratch& own) { run_item(run, batch.item(i), own); });
}

PreparedOp prepare(Device& device, const OpDesc& op) {
  const std::int64_t threads = static_cast<CpuDevice&>(device).pool().size();
  const Sizes sizes(std::get<Attention>(op.attributes), op.in[0].shape.rows());
  const std::int64_t floats =
      threads * sizes.thread + sizes.shared + (threads > 1 ? sizes.places : 0);
  return prepared(device, op, run, static_cast<std::size_t>(floats) * sizeof(float));
}

}  // namespace

const OpImpl attention_impl{supports, prepare};

}  // namespace strata::cpu
