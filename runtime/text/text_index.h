#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string_view>
#include <vector>

namespace strata::text {

/// Maps texts to numbers by open addressing: a look-up that fails touches one or two cache lines,
/// and most look-ups of a tokenizer fail. Borrows the texts. Built once, then read by any thread.
class TextIndex {
 public:
  explicit TextIndex(std::size_t expected = 0) { grow(expected); }

  std::size_t size() const { return size_; }

  /// Adds a pair; of equal texts the first stays.
  void insert(std::string_view text, std::int32_t value) {
    if (2 * (size_ + 1) > slots_.size()) grow(size_ * 2);
    Slot& slot = slots_[place(text, hash_of(text))];
    if (slot.used) return;
    slot = {text, hash_of(text), true, value};
    ++size_;
  }

  /// The number of `text`, or empty.
  std::optional<std::int32_t> find(std::string_view text) const {
    const Slot& slot = slots_[place(text, hash_of(text))];
    return slot.used ? std::optional(slot.value) : std::nullopt;
  }

 private:
  struct Slot {
    std::string_view text;
    std::uint32_t hash = 0;
    bool used = false;
    std::int32_t value = 0;
  };

  static std::uint32_t hash_of(std::string_view text) {
    return static_cast<std::uint32_t>(std::hash<std::string_view>()(text));
  }

  // The slot that holds `text` or is free for it.
  std::size_t place(std::string_view text, std::uint32_t hash) const {
    for (std::size_t at = hash;; ++at) {
      at &= slots_.size() - 1;
      const Slot& slot = slots_[at];
      if (!slot.used || (slot.hash == hash && slot.text == text)) return at;
    }
  }

  void grow(std::size_t expected) {
    std::size_t capacity = 16;
    while (capacity < 2 * expected + 2) capacity *= 2;
    std::vector<Slot> old(capacity);
    old.swap(slots_);
    for (const Slot& slot : old) {
      if (slot.used) slots_[place(slot.text, slot.hash)] = slot;
    }
  }

  std::vector<Slot> slots_;  // a power of two, at most half of them used
  std::size_t size_ = 0;
};

}  // namespace strata::text
