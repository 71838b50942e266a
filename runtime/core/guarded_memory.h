#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

namespace strata {

/// Watches over mapped pages that may vanish: the file is cut short, the disk fails. The system
/// then answers a touch with SIGBUS, which would end the process. Instead the rest of the range,
/// from the page that failed on, becomes zeros; who was reading goes on, whichever thread and
/// whatever code (kernels on the thread pool too), and lost_from() says that what was read is worth
/// nothing.
///
/// No thread needs a recovery point, no frame is jumped over. The range stays lost for good, even
/// when the file is mended: open the file again. A SIGBUS anywhere else goes to the handler that
/// was there before the first guard. Threads: lost_from() from any; move and destroy as any owner.
class MemoryGuard {
 public:
  /// Guards beyond these are inactive.
  static constexpr std::size_t kMostGuards = 4096;

  MemoryGuard() = default;
  /// `range` begins at a page border and stays mapped, private or shared, as long as the guard
  /// lives.
  explicit MemoryGuard(std::span<const std::byte> range);
  MemoryGuard(MemoryGuard&& other) noexcept;
  MemoryGuard& operator=(MemoryGuard&& other) noexcept;
  ~MemoryGuard();

  bool active() const { return index_ < kMostGuards; }
  /// Offset into the range of the first byte that was lost; empty while all is well.
  std::optional<std::uint64_t> lost_from() const noexcept;

 private:
  std::size_t index_ = kMostGuards;
};

}  // namespace strata
