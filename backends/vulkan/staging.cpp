#include "backends/vulkan/staging.h"

#include <algorithm>

namespace strata::vulkan {

std::span<std::byte> Staging::take(std::size_t bytes, const Timeline& timeline) {
  if (buffer_.data() == nullptr) buffer_ = memory_.allocate_pinned(kPieces * kPieceBytes);
  if (used_ == kPieceBytes) {
    piece_ = (piece_ + 1) % kPieces;
    used_ = 0;
    timeline.wait(tickets_[piece_]);
  }
  const std::size_t taken = std::min(bytes, kPieceBytes - used_);
  const std::span<std::byte> span(buffer_.data() + piece_ * kPieceBytes + used_, taken);
  used_ += taken;
  return span;
}

bool Staging::used_until(std::uint64_t ticket) {
  tickets_[piece_] = ticket;
  return used_ == kPieceBytes;
}

}  // namespace strata::vulkan
