#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace strata {

/// What a cache of experts was asked for.
struct ExpertCounts {
  std::uint64_t hits = 0;
  std::uint64_t misses = 0;     ///< were brought to the device
  std::uint64_t evictions = 0;  ///< ... in place of another
  ExpertCounts& operator+=(const ExpertCounts& other);
};

/// Which experts of some layers lie in which of its slots: the least recently used one goes first,
/// and never one that is asked for at the same time. Bookkeeping only: no bytes, no device.
/// Deterministic. Used by one thread; a request allocates nothing.
class ExpertCache {
 public:
  /// For `layers` layers of `experts` experts each; `slots` of at least 1.
  ExpertCache(std::int32_t layers, std::int32_t experts, std::int32_t slots);

  std::int32_t slots() const { return static_cast<std::int32_t>(entries_.size()); }

  /// An expert of the request that is to be brought into its slot.
  struct Miss {
    std::int32_t expert;
    std::int32_t slot;
  };
  /// Gives experts (different ones) of a layer their slots: first those that are here, then, in
  /// this order, the others. Where there are more experts than slots, as many as half the slots are
  /// served at a time, so that the rest can be brought while those are computed with: slots_of[i]
  /// is -1 for the others. The misses are valid until the next call.
  std::span<const Miss> request(std::int32_t layer, std::span<const std::int32_t> experts,
                                std::span<std::int32_t> slots_of);

  /// The slot's expert could not be brought: nothing is there.
  void forget(std::int32_t slot);

  const ExpertCounts& counts() const { return counts_; }

 private:
  // A slot, in a list from the one that was used longest ago to the most recent one.
  struct Entry {
    std::int32_t key = -1;  // layer * experts + expert; -1: empty
    std::int32_t older = -1;
    std::int32_t newer = -1;
  };
  Entry& entry(std::int32_t slot) { return entries_[static_cast<std::size_t>(slot)]; }
  void unlink(std::int32_t slot);
  void make_newest(std::int32_t slot);
  void make_oldest(std::int32_t slot);

  std::int32_t experts_;
  std::vector<Entry> entries_;
  std::int32_t oldest_ = 0;
  std::int32_t newest_ = -1;
  std::vector<std::int32_t> slot_of_;  // by key; -1: not here
  std::vector<Miss> misses_;
  ExpertCounts counts_;
};

/// How many slots there are for which layers.
struct ExpertShare {
  std::vector<std::int32_t> slots;     ///< of each cache
  std::vector<std::int32_t> cache_of;  ///< by layer
};

/// Divides `slots` (at least 1) slots among layers of `experts` experts, of which a token uses
/// `used`. A layer keeps something from token to token only in a cache of its own of at least
/// `used` slots: what others put into it between would push everything out. So every layer has its
/// own if that is possible; else as many as can, spread evenly, and the others share one of `used`
/// slots.
ExpertShare share_slots(std::int32_t layers, std::int32_t experts, std::int32_t used,
                        std::int64_t slots);

}  // namespace strata
