#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace strata::text {

/// Maps 64-bit keys to small values by open addressing: one cache line per look-up where a node per
/// entry would be two or three. Built once, then read from any thread. The key ~0 is not allowed.
template <class Value>
class FlatMap {
 public:
  explicit FlatMap(std::size_t expected) {
    std::size_t capacity = 16;
    while (capacity < expected * 2) capacity *= 2;
    slots_.resize(capacity);
  }

  /// Adds a pair; of equal keys the first stays. At most `expected` times.
  void insert(std::uint64_t key, Value value) {
    Slot& slot = slots_[place(key)];
    if (slot.key == kFree) slot = {key, value};
  }

  /// The value of `key`, or null.
  const Value* find(std::uint64_t key) const {
    const Slot& slot = slots_[place(key)];
    return slot.key == kFree ? nullptr : &slot.value;
  }

 private:
  static constexpr std::uint64_t kFree = ~std::uint64_t{0};
  struct Slot {
    std::uint64_t key = kFree;
    Value value{};
  };

  // The slot that holds `key` or is free for it.
  std::size_t place(std::uint64_t key) const {
    std::uint64_t hash = key * 0x9E3779B97F4A7C15U;  // golden ratio: Fibonacci hashing
    hash ^= hash >> 32;
    std::size_t at = static_cast<std::size_t>(hash * 0xD6E8FEB86659FD93U >> 20);
    for (;; ++at) {
      at &= slots_.size() - 1;
      if (slots_[at].key == kFree || slots_[at].key == key) return at;
    }
  }

  std::vector<Slot> slots_;
};

}  // namespace strata::text
