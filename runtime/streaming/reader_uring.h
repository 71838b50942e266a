#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <span>
#include <stop_token>
#include <string>
#include <vector>

#include "runtime/core/io_ring.h"
#include "runtime/streaming/reader_retry.h"

namespace strata {

/// One read of a unit: a piece of one of its parts.
struct ReadPiece {
  std::uint32_t shard = 0;
  int descriptor = -1;
  ReadGoal goal;
  std::byte* to = nullptr;
};

/// Reads pieces with many requests under way (io_uring): a queue for every thread that reads, made
/// when the first needs it. Safe from several threads.
class UringReads {
 public:
  static constexpr unsigned kDepth = 32;
  static constexpr std::uint64_t kPieceBytes = std::uint64_t{256} << 10;

  /// Null where the system has none for us, with the reason in `refusal`.
  static std::unique_ptr<UringReads> open(std::string& refusal);

  /// Registers the slots with every queue, now and later. While nothing is read.
  void set_slots(std::span<const std::span<std::byte>> slots);

  /// Gets the next piece to read; false when there is no more.
  using Next = std::function<bool(ReadPiece&)>;
  /// Reads a piece that did not come whole, by other means; may throw.
  using Again = std::function<void(const ReadPiece&)>;
  /// Reads all pieces. When it returns or throws, nothing is under way any more. False when the
  /// system refuses a queue now: nothing useful was read then.
  bool read(const Next& next, const Again& again, const std::stop_token& stop);

 private:
  std::unique_ptr<IoRing> take_ring();
  void give_back(std::unique_ptr<IoRing> ring);
  int slot_of(const std::byte* to) const;

  std::vector<std::span<std::byte>> slots_;
  std::mutex mutex_;
  std::vector<std::unique_ptr<IoRing>> idle_;
};

}  // namespace strata
