#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

namespace strata {

/// A hash of untrusted names, different in every process, so that no file can be built to collide.
std::uint64_t hash_name(std::string_view name);

/// Maps names to positions in a list that somebody else keeps: `name_of(position)` gives the name.
/// Holds four bytes a slot and no name. Not thread-safe while it is filled.
class NameIndex {
 public:
  /// Room for `count` names.
  explicit NameIndex(std::size_t count = 0) : slots_(slot_count(count), 0) {}

  /// Bytes that an index of `count` names takes.
  static std::size_t bytes_for(std::size_t count) {
    return slot_count(count) * sizeof(std::uint32_t);
  }

  template <class NameOf>
  std::optional<std::uint32_t> find(std::string_view name, NameOf name_of) const {
    const std::uint32_t stored = slots_[slot_of(name, name_of)];
    return stored == 0 ? std::nullopt : std::optional(stored - 1);
  }

  /// Adds `name` at `position`; returns the position that already has the name, if any.
  template <class NameOf>
  std::optional<std::uint32_t> insert(std::string_view name, std::uint32_t position,
                                      NameOf name_of) {
    if (used_ * 2 >= slots_.size()) grow(name_of);
    std::uint32_t& slot = slots_[slot_of(name, name_of)];
    if (slot != 0) return slot - 1;
    slot = position + 1;
    ++used_;
    return std::nullopt;
  }

 private:
  static std::size_t slot_count(std::size_t count) {
    std::size_t slots = 8;
    while (slots < count * 2 + 2) slots *= 2;
    return slots;
  }

  template <class NameOf>
  std::size_t slot_of(std::string_view name, NameOf name_of) const {
    const std::size_t mask = slots_.size() - 1;
    std::size_t slot = static_cast<std::size_t>(hash_name(name)) & mask;
    while (slots_[slot] != 0 && name_of(slots_[slot] - 1) != name) slot = (slot + 1) & mask;
    return slot;
  }

  template <class NameOf>
  void grow(NameOf name_of) {
    std::vector<std::uint32_t> old(slots_.size() * 2, 0);
    old.swap(slots_);
    for (std::uint32_t stored : old)
      if (stored != 0) slots_[slot_of(name_of(stored - 1), name_of)] = stored;
  }

  std::vector<std::uint32_t> slots_;  // position + 1; 0 = free; a power of two, at most half full
  std::size_t used_ = 0;
};

}  // namespace strata
