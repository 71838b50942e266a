#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace strata {

/// Which KV page holds which tokens of which sequence: bookkeeping only, no bytes. Pages are
/// reference-counted, so sequences that begin alike share them; a shared page that is about to be
/// written is replaced by a copy first. Sequence slots are small numbers. Used by one thread;
/// allocates nothing after construction.
class PagePool {
 public:
  /// A page whose bytes must be copied (all layers) before the next step.
  struct PageCopy {
    std::int32_t from;
    std::int32_t to;
  };

  PagePool(std::int32_t pages, std::int32_t page_tokens, std::int32_t sequences,
           std::int32_t pages_per_sequence);

  std::int32_t page_tokens() const { return page_tokens_; }
  std::int32_t free_pages() const { return static_cast<std::int32_t>(free_.size()); }
  std::int32_t total_pages() const { return static_cast<std::int32_t>(references_.size()); }

  /// A new empty sequence's slot; -1 when all are taken.
  std::int32_t open();
  /// A new sequence that shares the first `tokens` of `sequence`; -1 when no slot is free.
  std::int32_t fork(std::int32_t sequence, std::int64_t tokens);
  void close(std::int32_t sequence);

  std::int64_t length(std::int32_t sequence) const { return at(sequence).length; }
  /// Longest that a sequence can get.
  std::int64_t capacity() const { return std::int64_t{pages_per_sequence_} * page_tokens_; }
  /// Makes room for `tokens` more. False, and nothing changed, when pages or the page table run
  /// out. A shared last page is copied: its PageCopy is appended to copies().
  bool extend(std::int32_t sequence, std::int64_t tokens);
  /// Forgets all but the first `tokens`.
  void truncate(std::int32_t sequence, std::int64_t tokens);
  /// Page ids in order of position.
  std::span<const std::int32_t> pages(std::int32_t sequence) const;

  /// Copies to be made before the next step, in order; the caller clears them when done.
  std::span<const PageCopy> copies() const { return copies_; }
  void clear_copies() { copies_.clear(); }

 private:
  struct Sequence {
    bool open = false;
    std::int64_t length = 0;
    std::vector<std::int32_t> pages;
  };
  const Sequence& at(std::int32_t s) const { return sequences_[static_cast<std::size_t>(s)]; }
  Sequence& at(std::int32_t s) { return sequences_[static_cast<std::size_t>(s)]; }
  std::int64_t pages_for(std::int64_t tokens) const {
    return (tokens + page_tokens_ - 1) / page_tokens_;
  }
  std::int32_t take();
  void drop(std::int32_t page);

  std::int32_t page_tokens_;
  std::int32_t pages_per_sequence_;
  std::vector<std::int32_t> references_;  ///< per page
  std::vector<std::int32_t> free_;
  std::vector<Sequence> sequences_;
  std::vector<PageCopy> copies_;
};

}  // namespace strata
