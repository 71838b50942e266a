#pragma once

#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <mutex>
#include <optional>
#include <span>
#include <stop_token>
#include <thread>
#include <vector>

#include "runtime/streaming/block_reader.h"

namespace strata {

/// What a ring has done since it was made.
struct RingStats {
  std::uint64_t units = 0;           ///< taken by the consumer
  std::uint64_t bytes = 0;           ///< file bytes of those
  std::uint64_t consumer_waits = 0;  ///< times that take() found its unit not there yet
  std::uint64_t io_wait_ns = 0;      ///< that the consumer waited so
  std::uint64_t reader_waits = 0;    ///< times that a reader found no free slot
  std::uint64_t reader_wait_ns = 0;  ///< that readers waited so, summed over them
  std::uint64_t restarts = 0;
  std::uint64_t read_again = 0;  ///< units that could not be read ahead, when they were wanted
};

/// Host slots that reader threads fill with the units of a sweep, in order and over again: after
/// the last unit comes the first. Several units are read at once; the consumer takes them in order.
/// Bounded by its slots; nothing is allocated after construction but for errors.
///
/// take(), try_take() and restart() are for one consumer thread, give_back() and stats() for any.
/// With a reader whose time is simulated (BlockReader::timeline) units are there when that says so,
/// whenever the threads have read them, and give_back() is for the consumer too.
class StagingRing {
 public:
  struct Taken {
    std::uint32_t unit = 0;  ///< index into the sweep
    std::uint32_t slot = 0;
    std::span<const std::byte* const> parts;  ///< first byte of each part, until give_back(slot)
  };

  /// Begins to read at once. `reader`, the units and the slots' memory outlive the ring; slots are
  /// aligned to 4 KiB and hold the largest unit (BlockReader::slot_bytes). Throws Error(runtime)
  /// when they do not, or when no thread can be had.
  StagingRing(BlockReader& reader, std::span<const StreamUnit> sweep,
              std::vector<std::span<std::byte>> slots, int threads);
  /// Stops the readers, also in the middle of a unit.
  ~StagingRing();
  StagingRing(const StagingRing&) = delete;
  StagingRing& operator=(const StagingRing&) = delete;

  /// The next unit in order if it is there: one that could not be read is not. Throws
  /// Error(runtime) when restart() is due.
  std::optional<Taken> try_take();
  /// The next unit in order; waits for it. One that could not be read ahead is read once more now
  /// that it is wanted, by the caller's thread: the disk may have come back long ago. Throws, once
  /// and in order, the Error with which that fails; restart() is then due before the next take.
  /// Throws Error(runtime) without waiting when it would wait for ever: the consumer holds every
  /// slot, or restart() was not called.
  Taken take();
  /// The slot may be filled again. Any order, any thread.
  void give_back(std::uint32_t slot);
  /// Drops what was read and goes on with unit `first` of the sweep. Slots that are taken stay
  /// taken until they are given back. Does not wait for reads under way: their slots join when they
  /// end.
  void restart(std::uint32_t first = 0);

  RingStats stats() const;

 private:
  enum class State : std::uint8_t { free, reading, ready, failed, taken };
  struct Slot {
    std::span<std::byte> bytes;
    std::vector<const std::byte*> places;  // as many as the unit with the most parts has
    std::exception_ptr error;
    State state = State::free;
  };

  void check_slots() const;
  void start_threads(int threads);
  void stop_threads();
  void work(const std::stop_token& stop);
  bool await_slot(std::unique_lock<std::mutex>& lock, const std::stop_token& stop);
  std::exception_ptr read_into(Slot& slot, std::uint64_t position, const std::stop_token& stop);
  void require_restarted() const;
  Slot& next_slot() { return slots_[order_[next_take_ % slots_.size()]]; }
  bool next_is_there() const;
  void await_next(std::unique_lock<std::mutex>& lock);
  void read_again(std::unique_lock<std::mutex>& lock);
  Taken take_next();

  BlockReader& reader_;
  ReadTimeline* const timeline_;  // null: time is real
  const std::span<const StreamUnit> sweep_;
  std::vector<Slot> slots_;
  std::vector<std::uint32_t> free_;   // room for every slot is reserved
  std::vector<std::uint32_t> order_;  // slot of position p: order_[p % slots], if not yet taken
  // Positions count units through all sweeps since the last restart.
  std::uint64_t next_read_ = 0;
  std::uint64_t next_take_ = 0;
  std::uint64_t generation_ = 0;  // restarts; reads of an older one are dropped
  std::uint32_t taken_ = 0;
  bool failed_ = false;  // a read failed: nothing more is begun
  bool thrown_ = false;  // and the consumer knows
  RingStats stats_;

  mutable std::mutex mutex_;
  std::condition_variable slot_is_free_;
  std::condition_variable unit_is_there_;
  std::stop_source stop_;
  std::vector<std::thread> threads_;
};

}  // namespace strata
