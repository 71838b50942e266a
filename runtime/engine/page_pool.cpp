#include "runtime/engine/page_pool.h"

namespace strata {

PagePool::PagePool(std::int32_t pages, std::int32_t page_tokens, std::int32_t sequences,
                   std::int32_t pages_per_sequence)
    : page_tokens_(page_tokens),
      pages_per_sequence_(pages_per_sequence),
      references_(static_cast<std::size_t>(pages), 0),
      sequences_(static_cast<std::size_t>(sequences)) {
  free_.reserve(references_.size());
  for (std::int32_t page = pages; page-- > 0;) free_.push_back(page);
  for (Sequence& sequence : sequences_)
    sequence.pages.reserve(static_cast<std::size_t>(pages_per_sequence));
  copies_.reserve(sequences_.size());
}

std::int32_t PagePool::take() {
  const std::int32_t page = free_.back();
  free_.pop_back();
  references_[static_cast<std::size_t>(page)] = 1;
  return page;
}

void PagePool::drop(std::int32_t page) {
  if (--references_[static_cast<std::size_t>(page)] == 0) free_.push_back(page);
}

std::int32_t PagePool::open() {
  for (std::size_t s = 0; s < sequences_.size(); ++s) {
    if (sequences_[s].open) continue;
    sequences_[s].open = true;
    return static_cast<std::int32_t>(s);
  }
  return -1;
}

std::int32_t PagePool::fork(std::int32_t sequence, std::int64_t tokens) {
  const std::int32_t forked = open();
  if (forked < 0) return -1;
  Sequence& to = at(forked);
  const Sequence& from = at(sequence);
  to.length = tokens < from.length ? tokens : from.length;
  for (std::int64_t i = 0; i < pages_for(to.length); ++i) {
    const std::int32_t page = from.pages[static_cast<std::size_t>(i)];
    ++references_[static_cast<std::size_t>(page)];
    to.pages.push_back(page);
  }
  return forked;
}

void PagePool::close(std::int32_t sequence) {
  truncate(sequence, 0);
  at(sequence).open = false;
}

bool PagePool::extend(std::int32_t sequence, std::int64_t tokens) {
  Sequence& s = at(sequence);
  const std::int64_t wanted = pages_for(s.length + tokens);
  if (wanted > pages_per_sequence_) return false;
  const auto held = static_cast<std::int64_t>(s.pages.size());
  const bool partial = s.length % page_tokens_ != 0;
  const bool shared =
      partial && tokens > 0 && references_[static_cast<std::size_t>(s.pages.back())] > 1;
  if (wanted - held + (shared ? 1 : 0) > free_pages()) return false;
  if (shared) {
    const std::int32_t from = s.pages.back();
    s.pages.back() = take();
    copies_.push_back({from, s.pages.back()});
    drop(from);
  }
  while (static_cast<std::int64_t>(s.pages.size()) < wanted) s.pages.push_back(take());
  s.length += tokens;
  return true;
}

void PagePool::truncate(std::int32_t sequence, std::int64_t tokens) {
  Sequence& s = at(sequence);
  if (tokens >= s.length) return;
  s.length = tokens;
  while (static_cast<std::int64_t>(s.pages.size()) > pages_for(tokens)) {
    drop(s.pages.back());
    s.pages.pop_back();
  }
}

std::span<const std::int32_t> PagePool::pages(std::int32_t sequence) const {
  return at(sequence).pages;
}

}  // namespace strata
