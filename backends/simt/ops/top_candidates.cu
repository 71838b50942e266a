#include <cmath>
#include <utility>

#include "backends/simt/common.h"
#include "backends/simt/overlap.h"
#include "backends/simt/reduce.h"
#include "backends/simt/rows.h"

namespace strata::STRATA_SIMT {
namespace {

constexpr int kThreads = 256;
constexpr int kEach = 16;  // elements of a thread, which follow each other
constexpr int kChunk = kThreads * kEach;
constexpr int kMostCandidates = kChunk / 8;  // every round of merging leaves an eighth at most
constexpr int kWarpSlots = kThreads / 16;    // per warp one value, however wide warps are

// A logit as a whole number of the same order, which is 0 for none: -inf and NaN become 0x007fffff.
STRATA_DEVICE std::uint32_t key_of(float logit) {
  if (is_nan(logit)) logit = -INFINITY;
  if (logit == 0.0F) logit = 0.0F;  // either zero
  const std::uint32_t bits = bits_of(logit);
  return (bits & 0x80000000u) != 0 ? ~bits : bits | 0x80000000u;
}
STRATA_DEVICE float logit_of(std::uint32_t key) {
  if (key == 0) return -INFINITY;
  return float_of((key & 0x80000000u) != 0 ? key & 0x7fffffffu : ~key);
}
// exp(logit - largest); equal infinities count as equal numbers, -inf does not count.
STRATA_DEVICE float weight_of(float logit, float largest) {
  if (logit == -INFINITY) return 0.0F;
  return logit == largest ? 1.0F : exp_of(logit - largest);
}

struct alignas(8) Entry {
  std::uint32_t key;
  int id;
};

// What is known of a chunk of a row beside its candidates.
struct alignas(16) Summary {
  float largest;
  float weights;  // the sum of exp(logit - largest)
  int unusable;   // NaN or +inf
  int padding;
};

// A block's shared memory, of which chosen has `count` entries.
struct Shared {
  int* turns;    // two rounds of kWarpSlots
  float* parts;  // (kWarpSlots)
  Entry* chosen;
};
constexpr std::size_t shared_bytes(int count) {
  return 3 * kWarpSlots * sizeof(int) + static_cast<std::size_t>(count) * sizeof(Entry);
}
STRATA_DEVICE Shared shared_of_block() {
  auto* words = dynamic_shared<int>();
  return {words, reinterpret_cast<float*>(words + 2 * kWarpSlots),
          reinterpret_cast<Entry*>(words + 3 * kWarpSlots)};
}

// block_sum with one barrier: rounds write to two places by turns.
STRATA_DEVICE int sum_in_turn(int v, int* turns, int round) {
  int* const slots = turns + round % 2 * kWarpSlots;
  v = warp_sum(v);
  if (lane() == 0) slots[warp()] = v;
  sync_block();
  int sum = 0;
  for (int w = 0; w < threads_x() / lane_count(); ++w) sum += slots[w];
  return sum;
}

STRATA_DEVICE int count_from(const std::uint32_t (&keys)[kEach], std::uint32_t least) {
  int n = 0;
  STRATA_UNROLL
  for (int i = 0; i < kEach; ++i) n += keys[i] >= least ? 1 : 0;
  return n;
}

// The largest number that `count` keys of the block or more are not below; less precise where that
// many are found before the last bit.
STRATA_DEVICE std::uint32_t threshold(const std::uint32_t (&keys)[kEach], int count, int* turns) {
  std::uint32_t least = 0;
  for (int bit = 31; bit >= 0; --bit) {
    const std::uint32_t asked = least | 1u << bit;
    const int found = sum_in_turn(count_from(keys, asked), turns, bit);
    if (found >= count) least = asked;
    if (found == count) break;
  }
  sync_block();
  return least;
}

// The sums of the threads before this one, and in `total` of all.
STRATA_DEVICE int sum_before(int v, int* slots, int* total) {
  int sum = v;
  for (int delta = 1; delta < lane_count(); delta *= 2) {
    const int other = shuffle_up(sum, delta);
    if (lane() >= delta) sum += other;
  }
  if (lane() == lane_count() - 1) slots[warp()] = sum;
  sync_block();
  *total = 0;
  int before = 0;
  for (int w = 0; w < threads_x() / lane_count(); ++w) {
    if (w == warp()) before = *total;
    *total += slots[w];
  }
  return before + sum - v;
}

// Puts the `count` first of the block's elements (larger key, then lower element) into
// shared.chosen, with the element's number as its id, those of one key in ascending order. Each
// thread has elements kEach * thread_x() and on.
STRATA_DEVICE void choose(const std::uint32_t (&keys)[kEach], int count, const Shared& shared) {
  const std::uint32_t least = threshold(keys, count, shared.turns);
  // Both counts in one number: a chunk has fewer than 2^16 elements.
  const int above = count_from(keys, least + 1);
  const int from = count_from(keys, least);
  int total;
  const int before = sum_before(above | (from - above) << 16, shared.turns, &total);
  int at = before & 0xffff;
  int tie = (total & 0xffff) + (before >> 16);
  STRATA_UNROLL
  for (int i = 0; i < kEach; ++i) {
    const Entry entry = {keys[i], kEach * thread_x() + i};
    if (keys[i] > least)
      shared.chosen[at++] = entry;
    else if (keys[i] == least && tie++ < count)
      shared.chosen[tie - 1] = entry;
  }
  sync_block();
}

// How many of the chosen come before number i of them.
STRATA_DEVICE int place_of(const Entry* chosen, int count, int i) {
  const std::uint32_t key = chosen[i].key;
  int place = 0;
  for (int j = 0; j < count; ++j)
    place += chosen[j].key > key || (chosen[j].key == key && j < i) ? 1 : 0;
  return place;
}

STRATA_DEVICE Summary summary_of(const std::uint32_t (&keys)[kEach], int unusable,
                                 const Shared& shared) {
  std::uint32_t most = 0;
  STRATA_UNROLL
  for (int i = 0; i < kEach; ++i) most = max_of(most, keys[i]);
  const float largest = block_max(logit_of(most), shared.parts);
  float weights = 0.0F;
  STRATA_UNROLL
  for (int i = 0; i < kEach; ++i) weights += weight_of(logit_of(keys[i]), largest);
  sync_block();
  weights = block_sum(weights, shared.parts);
  return {largest, weights, sum_in_turn(unusable, shared.turns, 0), 0};
}

// Block (row, chunk): the chunk's candidates, (rows, chunks, count), and its summary.
STRATA_KERNEL STRATA_BOUNDS(kThreads) void choose_of_logits(FourRows logits, int columns,
                                                            Entry* lists, Summary* summaries,
                                                            int chunks, int count) {
  take_turn();
  const Shared shared = shared_of_block();
  const float* row = logits.row(block_x());
  const int first = block_y() * kChunk + kEach * thread_x();
  std::uint32_t keys[kEach];
  int unusable = 0;
  STRATA_UNROLL
  for (int i = 0; i < kEach; i += 4) {
    const Four four = load_four(row, logits.wide, first + i, columns);
    STRATA_UNROLL
    for (int j = 0; j < 4; ++j) {
      const bool there = first + i + j < columns;
      keys[i + j] = there ? key_of(four.v[j]) : 0u;
      unusable += there && !(four.v[j] < INFINITY) ? 1 : 0;
    }
  }
  const Summary summary = summary_of(keys, unusable, shared);
  sync_block();
  choose(keys, count, shared);
  const std::int64_t list = static_cast<std::int64_t>(block_x()) * chunks + block_y();
  if (thread_x() == 0) summaries[list] = summary;
  for (int i = thread_x(); i < count; i += kThreads) {
    const Entry chosen = shared.chosen[i];
    lists[list * count + place_of(shared.chosen, count, i)] = {
        chosen.key, chosen.key == 0 ? -1 : block_y() * kChunk + chosen.id};
  }
}

// The block's chunk of a row's entries: those of one key come with ascending ids. Fewer than
// `count` fill up with none.
STRATA_DEVICE void choose_of_entries(const Entry* entries, int n, int count, const Shared& shared) {
  const int first = kEach * thread_x();
  std::uint32_t keys[kEach];
  STRATA_UNROLL
  for (int i = 0; i < kEach; ++i) keys[i] = first + i < n ? entries[first + i].key : 0u;
  choose(keys, count, shared);
}

// Block (row, group of kChunk entries): their candidates, (rows, groups, count).
STRATA_KERNEL STRATA_BOUNDS(kThreads) void merge_lists(const Entry* lists, int entries,
                                                       Entry* merged, int count) {
  take_turn();
  const Shared shared = shared_of_block();
  const int first = block_y() * kChunk;
  const Entry* mine = lists + static_cast<std::int64_t>(block_x()) * entries + first;
  choose_of_entries(mine, min_of(kChunk, entries - first), count, shared);
  const int groups_of_row = (entries + kChunk - 1) / kChunk;
  const std::int64_t list = static_cast<std::int64_t>(block_x()) * groups_of_row + block_y();
  for (int i = thread_x(); i < count; i += kThreads) {
    const Entry chosen = shared.chosen[i];
    const Entry entry = {chosen.key, chosen.key == 0 ? -1 : mine[chosen.id].id};
    merged[list * count + place_of(shared.chosen, count, i)] = entry;
  }
}

// The weights of all chunks, relative to the row's largest logit.
STRATA_DEVICE void finish_row(const Summary* summaries, int chunks, float largest,
                              const Shared& shared, int* words) {
  float weights = 0.0F;
  int unusable = 0;
  for (int c = thread_x(); c < chunks; c += kThreads) {
    weights += summaries[c].weights * weight_of(summaries[c].largest, largest);
    unusable += summaries[c].unusable;
  }
  weights = block_sum(weights, shared.parts);
  unusable = sum_in_turn(unusable, shared.turns, 0);
  if (thread_x() != 0) return;
  words[0] = static_cast<int>(bits_of(weights));
  words[1] = unusable;
}

// Block per row of at most kChunk entries: the op's output.
STRATA_KERNEL STRATA_BOUNDS(kThreads) void write_candidates(const Entry* lists, int entries,
                                                            const Summary* summaries, int chunks,
                                                            Rows<int> out, int count) {
  take_turn();
  const Shared shared = shared_of_block();
  const std::int64_t row = block_x();
  const Entry* mine = lists + row * entries;
  choose_of_entries(mine, entries, count, shared);
  int* words = out.row(row);
  float largest = -INFINITY;
  for (int i = 0; i < count; ++i) largest = max_of(largest, logit_of(shared.chosen[i].key));
  for (int i = thread_x(); i < count; i += kThreads) {
    const Entry chosen = shared.chosen[i];
    const int place = place_of(shared.chosen, count, i);
    words[place] = chosen.key == 0 ? -1 : mine[chosen.id].id;
    words[count + place] = static_cast<int>(bits_of(logit_of(chosen.key)));
  }
  finish_row(summaries + row * chunks, chunks, largest, shared, words + 2 * count);
}

bool supports(const OpDesc& op, const DeviceInfo&) {
  const std::int32_t count = std::get<TopCandidates>(op.attributes).count;
  return is_f32_rows(op.in[0]) && is_i32_rows(op.out[0]) && op.in[0].shape.columns() >= 1 &&
         count >= 1 && count <= kMostCandidates;
}

// The rounds of a row: candidates of chunks of logits, then of chunks of these, until one is left.
struct Rounds {
  std::int64_t chunks;
  std::int64_t list_entries;    // of a row after the first round
  std::int64_t merged_entries;  // after the second; 0: there is none
};
Rounds rounds_of(std::int64_t columns, std::int64_t count) {
  const std::int64_t chunks = groups(columns, kChunk);
  const std::int64_t entries = chunks * count;
  return {chunks, entries, entries > kChunk ? groups(entries, kChunk) * count : 0};
}

std::size_t workspace_bytes(std::int64_t rows, const Rounds& rounds) {
  const std::int64_t row =
      rounds.chunks * static_cast<std::int64_t>(sizeof(Summary)) +
      (rounds.list_entries + rounds.merged_entries) * static_cast<std::int64_t>(sizeof(Entry));
  return static_cast<std::size_t>(rows * row);
}

void run(Stream& stream, const PreparedOp& op, const Operands& operands, Workspace workspace) {
  const std::int32_t count = std::get<TopCandidates>(op.desc.attributes).count;
  const TensorView& logits = operands.in[0];
  const std::int64_t rows = logits.rows();
  if (rows == 0) return;
  const Rounds rounds = rounds_of(logits.columns(), count);
  const auto chunks = static_cast<int>(rounds.chunks);
  auto* const summaries = reinterpret_cast<Summary*>(workspace.data());
  auto* lists = reinterpret_cast<Entry*>(summaries + rows * rounds.chunks);
  Entry* merged = lists + rows * rounds.list_entries;
  const std::size_t shared = shared_bytes(count);
  launch_overlapped(stream, choose_of_logits, row_grid(rows, rounds.chunks), kThreads, shared,
                    four_rows(logits), static_cast<int>(logits.columns()), lists, summaries, chunks,
                    count);
  std::int64_t entries = rounds.list_entries;
  while (entries > kChunk) {
    const std::int64_t lists_left = groups(entries, kChunk);
    launch_overlapped(stream, merge_lists, row_grid(rows, lists_left), kThreads, shared, lists,
                      static_cast<int>(entries), merged, count);
    std::swap(lists, merged);
    entries = lists_left * count;
  }
  launch_overlapped(stream, write_candidates, row_grid(rows), kThreads, shared, lists,
                    static_cast<int>(entries), summaries, chunks, rows_of<int>(operands.out[0]),
                    count);
}

PreparedOp prepare(Device&, const OpDesc& op) {
  const Rounds rounds =
      rounds_of(op.in[0].shape.columns(), std::get<TopCandidates>(op.attributes).count);
  return prepared(op, run, "chunks of 4096", workspace_bytes(op.in[0].shape.rows(), rounds));
}

}  // namespace

const OpImpl top_candidates_impl{supports, prepare};

}  // namespace strata::STRATA_SIMT
