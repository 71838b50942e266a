#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "runtime/core/device.h"
#include "runtime/ops/ops.h"
#include "runtime/streaming/block_reader.h"
#include "runtime/streaming/slot_observer.h"
#include "runtime/streaming/staging_ring.h"
#include "runtime/streaming/stream_stats.h"
#include "runtime/streaming/stream_units.h"

namespace strata {

/// Sizes of what weights stream through.
struct StreamSettings {
  std::uint64_t unit_bytes = std::uint64_t{32} << 20;  ///< of the file, aimed at for one launch
  int slots = 3;                                       ///< units with room on the device; >= 2
  int ring_slots = 4;                                  ///< units with room in the ring; >= 2
  int reader_threads = 2;
  ReadMethod method = ReadMethod::buffered;
  /// What streams is computed in the file's layout instead of being packed, with the other matrices
  /// of its layer (Stage); always so where memory is unified.
  bool file_layout = false;
  /// Makes the reader that is used of the one that was opened; empty: it is used itself (tests).
  std::function<std::unique_ptr<BlockReader>(std::unique_ptr<BlockReader>)> wrap_reader = {};
};

/// What a feed of these units takes.
struct FeedMemory {
  std::uint64_t device = 0;  ///< slots
  std::uint64_t host = 0;    ///< staging ring and pinned units
};

/// Brings the units of a sweep to the device in order, again and again, ahead of their use: reader
/// threads fill a staging ring in pinned memory, a stream of its own copies from there to one of a
/// few slots on the device. Units that are pinned are in host memory once and for all and skip the
/// ring. Where the host's memory is the device's, the ring's slots are used as they are.
///
/// Everything is enqueued by the caller's thread, which waits for nothing but the readers and, when
/// the ring is full of them, for copies. Used by one thread; allocates nothing after construction.
class UnitFeed {
 public:
  /// A unit that is there, or will be when the stream that asked for it comes to it.
  struct Fed {
    std::uint32_t unit = 0;
    std::uint32_t slot = 0;
    std::array<std::byte*, kMaxOperands> raw{};  ///< each part's bytes, as the file has them
  };

  /// Takes the memory, reads the pinned units and begins to read the others. `units` and `device`
  /// outlive the feed; `pinned` is by unit. Throws Error{out_of_memory}, Error{io}.
  UnitFeed(Device& device, std::span<const SweepUnit> units, const std::vector<bool>& pinned,
           const StreamSettings& settings, std::unique_ptr<BlockReader> reader,
           SlotObserver* observer);
  ~UnitFeed();

  /// The next unit in order must be this one, else the order is left and goes on from it. `compute`
  /// waits for its upload. Throws the readers' Error{io}; restart() comes before the next use.
  Fed take(std::uint32_t unit, Stream& compute);
  /// Gives its slot back once `last_use` is reached, and sends for what has room now.
  void give_back(const Fed& fed, const Event& last_use, Stream& compute);
  /// Begins again with the first unit. No stream is at work.
  void restart();

  StreamStats stats() const;
  /// Units taken so far: tells one use of a slot from the next.
  std::uint64_t generation() const { return stats_.units; }
  static FeedMemory memory(const Device& device, std::span<const SweepUnit> units,
                           const std::vector<bool>& pinned, const StreamSettings& settings);

 private:
  struct Slot {
    std::byte* data = nullptr;
    std::uint32_t unit = 0;
    bool taken = false;
    Event filled;
    Event free;  ///< of no stream: at once
  };
  struct PendingCopy {
    std::uint32_t ring_slot;
    std::uint64_t ticket;
  };
  struct SlotTask;

  bool in_place() const { return device_.info().unified; }
  std::uint32_t after(std::uint32_t unit) const;
  void lay_out_sweep();
  void take_slots();
  void read_pinned();
  void start_ring();
  std::span<std::byte> host_slot(std::size_t bytes);
  void go_to(std::uint32_t unit);
  Fed take_in_place(std::uint32_t unit);
  bool upload(bool must);
  std::optional<StagingRing::Taken> from_ring(bool must);
  StagingRing::Taken wait_for_ring();
  void copy_parts(const SweepUnit& unit, const Slot& slot, std::span<const std::byte* const> from);
  void reap();
  void tell(Stream& stream, int moment, std::uint32_t slot);

  Device& device_;
  std::span<const SweepUnit> units_;
  std::vector<bool> pinned_;
  StreamSettings settings_;
  std::unique_ptr<BlockReader> reader_;
  SlotObserver* observer_;

  std::vector<StreamUnit> ring_sweep_;     ///< the units that are not pinned
  std::vector<std::uint32_t> ring_place_;  ///< by unit: its place there, or that of the next
  std::vector<std::array<const std::byte*, kMaxOperands>> pinned_parts_;  ///< by unit
  std::vector<Buffer> host_memory_;
  MemoryKind host_kind_ = MemoryKind::pinned;
  Buffer slot_memory_;
  std::vector<Slot> slots_;
  std::vector<SlotTask> tasks_;
  std::unique_ptr<Stream> upload_stream_;
  std::unique_ptr<StagingRing> ring_;
  std::vector<PendingCopy> copies_;    ///< out of the ring, in order; at most ring_slots
  std::vector<std::uint32_t> in_use_;  ///< slots of the ring that are used in place
  std::uint32_t next_unit_ = 0;        ///< to be uploaded, or taken where it is used in place
  std::uint32_t next_slot_ = 0;        ///< for it
  std::uint32_t next_taken_ = 0;       ///< slot that is taken next
  std::uint32_t ahead_ = 0;            ///< slots uploaded and not taken
  StreamStats stats_;
};

}  // namespace strata
