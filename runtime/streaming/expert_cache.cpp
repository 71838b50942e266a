#include "runtime/streaming/expert_cache.h"

#include <algorithm>

namespace strata {

ExpertCounts& ExpertCounts::operator+=(const ExpertCounts& other) {
  hits += other.hits;
  misses += other.misses;
  evictions += other.evictions;
  return *this;
}

ExpertCache::ExpertCache(std::int32_t layers, std::int32_t experts, std::int32_t slots)
    : experts_(experts),
      entries_(static_cast<std::size_t>(slots)),
      newest_(slots - 1),
      slot_of_(static_cast<std::size_t>(layers) * static_cast<std::size_t>(experts), -1) {
  misses_.reserve(static_cast<std::size_t>(std::min(slots, experts)));
  for (std::int32_t slot = 0; slot < slots; ++slot)
    entry(slot) = {-1, slot - 1, slot + 1 < slots ? slot + 1 : -1};
}

void ExpertCache::unlink(std::int32_t slot) {
  const Entry& gone = entry(slot);
  (gone.older < 0 ? oldest_ : entry(gone.older).newer) = gone.newer;
  (gone.newer < 0 ? newest_ : entry(gone.newer).older) = gone.older;
}

void ExpertCache::make_newest(std::int32_t slot) {
  if (slot == newest_) return;
  unlink(slot);
  entry(newest_).newer = slot;
  entry(slot).older = newest_;
  entry(slot).newer = -1;
  newest_ = slot;
}

void ExpertCache::make_oldest(std::int32_t slot) {
  if (slot == oldest_) return;
  unlink(slot);
  entry(oldest_).older = slot;
  entry(slot).newer = oldest_;
  entry(slot).older = -1;
  oldest_ = slot;
}

// Those that are here become the most recent ones before the first of the others needs a slot, and
// at most as many are served as there are slots: so nothing of this request is pushed out by it.
std::span<const ExpertCache::Miss> ExpertCache::request(std::int32_t layer,
                                                        std::span<const std::int32_t> experts,
                                                        std::span<std::int32_t> slots_of) {
  misses_.clear();
  std::size_t left = experts.size();
  if (left > entries_.size()) left = std::max<std::size_t>(entries_.size() / 2, 1);
  for (std::size_t i = 0; i < experts.size(); ++i) {
    slots_of[i] = left > 0 ? slot_of_[static_cast<std::size_t>(layer * experts_ + experts[i])] : -1;
    if (slots_of[i] < 0) continue;
    make_newest(slots_of[i]);
    ++counts_.hits;
    --left;
  }
  for (std::size_t i = 0; i < experts.size() && left > 0; ++i) {
    if (slots_of[i] >= 0) continue;
    const std::int32_t slot = oldest_;
    std::int32_t& key = entry(slot).key;
    if (key >= 0) {
      slot_of_[static_cast<std::size_t>(key)] = -1;
      ++counts_.evictions;
    }
    key = layer * experts_ + experts[i];
    slot_of_[static_cast<std::size_t>(key)] = slot;
    make_newest(slot);
    slots_of[i] = slot;
    misses_.push_back({experts[i], slot});
    ++counts_.misses;
    --left;
  }
  return misses_;
}

void ExpertCache::forget(std::int32_t slot) {
  std::int32_t& key = entry(slot).key;
  if (key >= 0) slot_of_[static_cast<std::size_t>(key)] = -1;
  key = -1;
  make_oldest(slot);
}

namespace {

// How much of `total` goes to the one of `count` at `index`, as evenly as whole numbers can.
std::int64_t even_part(std::int64_t total, std::int64_t index, std::int64_t count) {
  return (index + 1) * total / count - index * total / count;
}

}  // namespace

ExpertShare share_slots(std::int32_t layers, std::int32_t experts, std::int32_t used,
                        std::int64_t slots) {
  ExpertShare share;
  const bool all_own = slots >= std::int64_t{layers} * used;
  const std::int64_t own = all_own ? layers : std::max<std::int64_t>(slots / used - 1, 0);
  const std::int64_t alone = std::min<std::int64_t>(slots, experts);
  const std::int64_t shared = all_own ? 0 : own == 0 ? alone : used;
  if (shared > 0) share.slots.push_back(static_cast<std::int32_t>(shared));
  std::int64_t owners = 0;
  for (std::int32_t layer = 0; layer < layers; ++layer) {
    if (even_part(own, layer, layers) == 0) {
      share.cache_of.push_back(0);
      continue;
    }
    share.cache_of.push_back(static_cast<std::int32_t>(share.slots.size()));
    const std::int64_t mine = even_part(slots - shared, owners++, own);
    share.slots.push_back(static_cast<std::int32_t>(std::min<std::int64_t>(mine, experts)));
  }
  return share;
}

}  // namespace strata
