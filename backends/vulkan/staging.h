#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "backends/vulkan/memory_map.h"
#include "backends/vulkan/timeline.h"

namespace strata::vulkan {

/// Pinned memory through which copies from and to the host's own memory go, piece by piece; made
/// by the first of them.
class Staging {
 public:
  explicit Staging(MemoryMap& memory) : memory_(memory) {}

  /// At most `bytes` bytes that no copy uses, waiting for one where all are in use. The previous
  /// piece has been submitted when done() said so.
  std::span<std::byte> take(std::size_t bytes, const Timeline& timeline);
  /// What was taken is in use until `ticket`. True when the piece is full: its copies must be
  /// submitted before the next take().
  bool used_until(std::uint64_t ticket);

 private:
  static constexpr std::size_t kPieces = 4;
  static constexpr std::size_t kPieceBytes = std::size_t{4} << 20;

  MemoryMap& memory_;
  Buffer buffer_;
  std::uint64_t tickets_[kPieces] = {};
  std::size_t piece_ = 0;
  std::size_t used_ = 0;  ///< bytes of the piece
};

}  // namespace strata::vulkan
