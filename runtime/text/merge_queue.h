#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <vector>

namespace strata::text {

/// The symbols of one stretch of text, which pairwise merging joins. A chain by index; a symbol
/// that was merged into its left neighbour has length 0.
struct Symbol {
  std::uint32_t begin;   ///< in the text, bytes
  std::uint32_t length;  ///< bytes
  std::int32_t previous;
  std::int32_t next;
  std::int32_t value;   ///< what the tokenizer knows it by; negative: nothing
  std::uint32_t order;  ///< of the pair it starts, kNoPair if that does not merge
  std::int32_t merged;  ///< value of the pair it starts
};

inline constexpr std::uint32_t kNoPair = ~std::uint32_t{0};

/// A priority queue of numbers, least first, for many entries known at the start and some later:
/// the first are sorted once and read in order, which costs a third of taking them from a heap.
class MergeQueue {
 public:
  void clear() {
    sorted_.clear();
    heap_.clear();
    next_ = 0;
  }
  /// Adds an entry before start().
  void seed(std::uint64_t entry) { sorted_.push_back(entry); }
  void start() { std::sort(sorted_.begin(), sorted_.end()); }
  /// Adds an entry after start().
  void push(std::uint64_t entry) {
    heap_.push_back(entry);
    std::push_heap(heap_.begin(), heap_.end(), std::greater<>());
  }
  bool empty() const { return next_ == sorted_.size() && heap_.empty(); }
  /// Takes the least entry; the queue must not be empty.
  std::uint64_t pop() {
    if (heap_.empty() || (next_ < sorted_.size() && sorted_[next_] < heap_.front())) {
      return sorted_[next_++];
    }
    std::pop_heap(heap_.begin(), heap_.end(), std::greater<>());
    const std::uint64_t least = heap_.back();
    heap_.pop_back();
    return least;
  }

 private:
  std::vector<std::uint64_t> sorted_;
  std::vector<std::uint64_t> heap_;
  std::size_t next_ = 0;  // of sorted_
};

/// Joins neighbours, lowest order first and leftmost among equals, until no pair is left:
/// O(n log n). `pair(left, right)` gives the order (kNoPair: they do not merge) and the merged
/// value of two symbols. On return the symbols with length > 0 are the result, in order.
/// Entries of the queue that a later merge made stale are known by their order: a pair's order
/// changes, or ties, in which case joining it is what another entry of the same rank asks for.
template <class PairFunction>
void merge_symbols(std::vector<Symbol>& symbols, MergeQueue& queue, PairFunction&& pair) {
  queue.clear();
  const auto look = [&](std::int32_t left) {
    Symbol& symbol = symbols[static_cast<std::size_t>(left)];
    symbol.order = kNoPair;
    if (symbol.next < 0) return false;
    const auto found = pair(symbol, symbols[static_cast<std::size_t>(symbol.next)]);
    symbol.order = found.first;
    symbol.merged = found.second;
    return symbol.order != kNoPair;
  };
  const auto entry = [&](std::int32_t left) {
    return (std::uint64_t{symbols[static_cast<std::size_t>(left)].order} << 32) |
           static_cast<std::uint32_t>(left);
  };
  for (std::int32_t i = 0; i + 1 < static_cast<std::int32_t>(symbols.size()); ++i) {
    if (look(i)) queue.seed(entry(i));
  }
  queue.start();
  const auto push = [&](std::int32_t left) {
    if (left >= 0 && look(left)) queue.push(entry(left));
  };
  while (!queue.empty()) {
    const std::uint64_t best = queue.pop();
    const auto at = static_cast<std::int32_t>(best & 0xFFFFFFFFU);
    Symbol& left = symbols[static_cast<std::size_t>(at)];
    if (left.length == 0 || left.order != best >> 32 || left.order == kNoPair) continue;
    Symbol& right = symbols[static_cast<std::size_t>(left.next)];
    left.length += right.length;
    left.value = left.merged;
    left.next = right.next;
    right.length = 0;
    if (left.next >= 0) symbols[static_cast<std::size_t>(left.next)].previous = at;
    push(at);
    push(left.previous);
  }
}

/// Links `symbols` into one chain in their order.
inline void link_symbols(std::span<Symbol> symbols) {
  for (std::size_t i = 0; i < symbols.size(); ++i) {
    symbols[i].previous = static_cast<std::int32_t>(i) - 1;
    symbols[i].next = i + 1 < symbols.size() ? static_cast<std::int32_t>(i) + 1 : -1;
  }
}

}  // namespace strata::text
