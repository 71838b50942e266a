#include "runtime/streaming/reader_uring.h"

#include <array>
#include <exception>
#include <utility>

#include "runtime/core/error.h"

namespace strata {

std::unique_ptr<UringReads> UringReads::open(std::string& refusal) {
  std::unique_ptr<IoRing> first = IoRing::open(kDepth, refusal);
  if (!first) return nullptr;
  auto result = std::make_unique<UringReads>();
  result->idle_.push_back(std::move(first));
  return result;
}

void UringReads::set_slots(std::span<const std::span<std::byte>> slots) {
  const std::lock_guard lock(mutex_);
  slots_.assign(slots.begin(), slots.end());
  for (const auto& ring : idle_) ring->register_buffers(slots_);
}

std::unique_ptr<IoRing> UringReads::take_ring() {
  const std::lock_guard lock(mutex_);
  if (!idle_.empty()) {
    std::unique_ptr<IoRing> ring = std::move(idle_.back());
    idle_.pop_back();
    return ring;
  }
  std::string refusal;
  std::unique_ptr<IoRing> ring = IoRing::open(kDepth, refusal);
  if (ring) ring->register_buffers(slots_);
  return ring;
}

void UringReads::give_back(std::unique_ptr<IoRing> ring) {
  const std::lock_guard lock(mutex_);
  idle_.push_back(std::move(ring));
}

int UringReads::slot_of(const std::byte* to) const {
  for (std::size_t i = 0; i < slots_.size(); ++i)
    if (to >= slots_[i].data() && to < slots_[i].data() + slots_[i].size())
      return static_cast<int>(i);
  return -1;
}

bool UringReads::read(const Next& next, const Again& again, const std::stop_token& stop) {
  std::unique_ptr<IoRing> ring = take_ring();
  if (!ring) return false;
  std::array<ReadPiece, kDepth> pieces;  // under way, by tag
  std::array<unsigned, kDepth> unused{};
  for (unsigned i = 0; i < kDepth; ++i) unused[i] = i;
  unsigned unused_count = kDepth;
  std::exception_ptr error;
  bool more = true;
  for (;;) {
    more = more && !error && !stop.stop_requested();
    while (more && unused_count > 0) {
      const unsigned tag = unused[unused_count - 1];
      more = next(pieces[tag]);
      if (!more) break;
      --unused_count;
      const ReadPiece& piece = pieces[tag];
      ring->queue({.descriptor = piece.descriptor,
                   .to = piece.to,
                   .bytes = static_cast<std::uint32_t>(piece.goal.bytes),
                   .offset = piece.goal.offset,
                   .buffer = slot_of(piece.to),
                   .tag = tag});
    }
    if (unused_count == kDepth) break;
    const auto done = ring->wait();
    if (!done) return false;  // the queue is broken and empty: it is not given back
    const ReadPiece& piece = pieces[done->tag];
    unused[unused_count++] = static_cast<unsigned>(done->tag);
    const bool whole =
        done->result >= 0 && static_cast<std::uint64_t>(done->result) >= piece.goal.needed;
    if (whole || error) continue;
    try {
      again(piece);
    } catch (...) {
      error = std::current_exception();
    }
  }
  give_back(std::move(ring));
  if (error) std::rethrow_exception(error);
  return true;
}

}  // namespace strata
