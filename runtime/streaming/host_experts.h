#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "runtime/core/device.h"
#include "runtime/core/weight_source.h"
#include "runtime/streaming/block_reader.h"
#include "runtime/streaming/expert_cache.h"
#include "runtime/streaming/read_crew.h"

namespace strata {

/// Experts' bytes as the file has them, in pinned memory of the host: those that are on their way
/// to the device, and as many of the last ones as there is room for, which need not be read again.
/// Used by one thread, beside the readers' own; allocates nothing after load().
class HostExperts {
 public:
  /// Launches whose experts are of one size.
  struct Group {
    std::int32_t launches = 0;
    std::int32_t experts = 0;  ///< of each launch
    std::uint64_t slot_bytes = 0;
    std::int64_t slots = 0;  ///< room for so many
  };
  /// Room for an expert of a launch.
  struct Slot {
    std::span<std::byte> memory;
    Event free;  ///< its last copy to the device, for the caller to set; of no stream: at once
    std::array<const std::byte*, kMostExpertMatrices> places{};  ///< of its matrices
  };
  /// An expert that was asked for.
  struct Pending {
    std::size_t group = 0;
    std::int32_t slot = 0;
    bool reading = false;  ///< else it was there
  };

  /// Memory of a group of so many slots, of which `least` are needed.
  static std::uint64_t bytes(std::uint64_t slot_bytes, std::int64_t slots, std::int64_t least);

  /// Takes the memory and starts the readers' threads; `reader` is borrowed. Each group gets at
  /// least `least` slots, which are pageable where the system refuses to pin them, and of the
  /// others those that it grants. Throws Error{out_of_memory}.
  void load(Device& device, BlockReader& reader, std::span<const Group> groups, std::int32_t least,
            int readers);

  /// So many may be asked for without finish() between: what is asked for pushes none of them out.
  std::size_t most_pending() const { return most_pending_; }
  /// The expert of a group's launch, whose bytes are `unit`, is there or begins to be read, after
  /// the slot's last copy of the stream `copies`.
  Pending start(std::size_t group, std::int32_t launch, std::int32_t expert, const StreamUnit& unit,
                Stream& copies);
  /// Waits until its bytes are there. Throws the reader's error.
  Slot& finish(const Pending& pending);
  /// After a failure: what was read is not used. `finished`: finish() was called.
  void drop(const Pending& pending, bool finished);

  MemoryKind kind() const { return kind_; }  ///< what the slots are, for copies
  std::uint64_t hits() const { return hits_; }
  std::uint64_t wait_ns() const { return wait_ns_; }  ///< in finish()

 private:
  struct Bank {
    std::vector<Buffer> slabs;
    std::vector<Slot> slots;
    std::optional<ExpertCache> cache;
    std::size_t first = 0;  // its slots' place among the readers'
  };
  Bank make_bank(Device& device, const Group& group, std::size_t least);
  Buffer needed_slab(Device& device, std::size_t bytes);

  std::vector<Bank> banks_;  // by group
  MemoryKind kind_ = MemoryKind::pinned;
  std::size_t most_pending_ = 0;
  std::uint64_t hits_ = 0;
  std::uint64_t wait_ns_ = 0;
  std::optional<ReadCrew> crew_;  // goes first: its threads write to the slots
};

}  // namespace strata
