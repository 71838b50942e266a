#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "runtime/core/device.h"
#include "runtime/core/weight_source.h"
#include "runtime/ops/op_impl.h"
#include "runtime/streaming/block_reader.h"
#include "runtime/streaming/expert_cache.h"
#include "runtime/streaming/host_experts.h"
#include "runtime/streaming/slot_tasks.h"

namespace strata {

/// One matrix of a launch, of all experts of a layer.
struct ExpertMatrix {
  std::vector<FileRange> experts;  ///< where each expert's (n, k) lies, in the file's layout
  TensorDesc desc;                 ///< (experts, n, k), in the layout that the launch wants
};

/// The bytes of experts that lie one after the other in `whole`.
std::vector<FileRange> split_experts(const FileRange& whole, std::int64_t experts);

struct ExpertOptions {
  std::int64_t slots = 0;       ///< experts that have room on the device, of all layers together
  std::int32_t used = 1;        ///< experts of a token
  std::int32_t host_slots = 8;  ///< most experts that are being read, or uploaded, at a time
  int readers = 4;              ///< threads; 0: the executor's
  /// Experts whose bytes stay in the host's memory once they are read, of all layers together, the
  /// most recently brought: they come from there and not from the file when they are missing.
  std::int64_t kept = 0;
};

struct ExpertMemory {
  std::uint64_t device = 0;
  std::uint64_t pinned = 0;
};

struct ExpertStats {
  ExpertCounts counts;               ///< an expert counts once per launch that multiplies it
  std::uint64_t host_hits = 0;       ///< of the misses, came from what the host's memory keeps
  std::uint64_t bytes_read = 0;      ///< from the file
  std::uint64_t bytes_uploaded = 0;  ///< to the device; 0 where the host's memory is the device's
  std::uint64_t io_wait_ns = 0;      ///< the executor's thread waited for reads
  bool pageable = false;             ///< the system refused to pin what they are read into
};

/// Experts whose bytes stay in the file: each launch finds those that it needs in slots on the
/// device, where they stay until others need the room. Layers whose launches look alike share slots
/// as share_slots() has it. What is read stays in pinned memory of the host as long as there is
/// room: a few that are on their way, or, by ExpertOptions::kept, as many as a user has memory for.
/// Used by one thread, beside the readers' own.
class StreamedExperts final : public ExpertSource {
 public:
  explicit StreamedExperts(Device& device) : device_(device) {}

  /// Registers what one launch of a layer multiplies, in the order of its op's matrices, and
  /// returns the launch's number; the same matrices in the same layouts are one launch. Takes no
  /// memory.
  std::uint32_t add(std::int32_t layer, std::vector<ExpertMatrix> matrices);
  bool empty() const { return launches_.empty(); }

  /// Exactly what load() asks the device for.
  ExpertMemory memory(const ExpertOptions& options) const;
  /// The most slots, up to all experts of all layers, that need at most so many bytes of device
  /// memory; 0: not even one of each launch fits.
  std::int64_t most_slots(ExpertOptions options, std::uint64_t device_bytes) const;
  /// The most that can be kept in at most so many bytes of pinned memory; 0: none beside those that
  /// are on their way.
  std::int64_t most_kept(ExpertOptions options, std::uint64_t pinned_bytes) const;
  /// Share of the experts of decoding tokens that are found in slots, if every expert of a layer is
  /// chosen as often as any other and independently: slots by experts where a layer has slots of
  /// its own; none where layers take turns in the same ones.
  double uniform_hit_rate(const ExpertOptions& options) const;
  /// Launches of a step that ask for experts, of all layers together.
  std::int64_t launches() const { return static_cast<std::int64_t>(launches_.size()); }

  /// Makes room and starts the readers; after it acquire() allocates nothing. `reader` is borrowed.
  /// Where the system does not pin all that was to be kept there is less of it. Throws
  /// Error{out_of_memory}. `observer` is told of the slots on the device, each matrix of each as
  /// one, numbered from kObservedSlots on; may be null.
  void load(BlockReader& reader, const ExpertOptions& options, SlotObserver* observer = nullptr);
  static constexpr int kObservedSlots = 1 << 20;

  ExpertLease acquire(std::uint32_t launch, std::span<const std::int32_t> wanted,
                      std::span<std::int32_t> slots, Stream& compute) override;
  void release(const ExpertLease& lease, const Event& last_use) override;

  ExpertStats stats() const;

 private:
  /// Slots for some layers' launches that look alike.
  struct Bank {
    ExpertCache cache;
    std::vector<Buffer> slabs;    ///< per matrix
    std::size_t observed = 0;     ///< its first slot among the observed ones
    std::vector<Event> last_use;  ///< per slot
  };
  /// Launches whose matrices have the same descriptions.
  struct Group {
    std::vector<TensorDesc> file;    ///< per matrix: one expert as the file has it, (1, n, k)
    std::vector<TensorDesc> wanted;  ///< ... and as the launch wants it
    std::vector<PreparedOp> pack;    ///< without `run` where that is the same
    std::int32_t experts = 0;
    std::int32_t launches = 0;
    std::uint64_t host_slot_bytes = 0;  ///< room for the largest as the readers want it
    std::vector<Bank> banks;
  };
  struct Launch {
    std::int32_t layer = 0;
    std::size_t group = 0;
    std::int32_t of_group = 0;  ///< its number among the group's
    std::size_t bank = 0;
    std::int32_t layer_of_bank = 0;
    std::vector<StreamUnit> units;  ///< by expert
  };

  std::size_t group_of(std::span<const ExpertMatrix> matrices);
  ExpertShare share_of(const Group& group, const ExpertOptions& options) const;
  std::int64_t layers() const;
  std::int64_t all() const;
  std::uint64_t raw_slot_bytes() const;
  std::vector<HostExperts::Group> host_groups(const ExpertOptions& options) const;
  std::uint64_t workspace_bytes() const;
  void make_banks(Group& group, std::size_t index, const ExpertOptions& options);
  void observe(Bank& bank);
  /// Where the observer knows a matrix of a slot.
  static std::size_t observed(const Bank& bank, std::int32_t slot, std::size_t matrix) {
    return bank.observed + static_cast<std::size_t>(slot) * bank.slabs.size() + matrix;
  }
  void load_host(BlockReader& reader, const ExpertOptions& options);
  void fill(const Launch& launch, Bank& bank, std::span<const ExpertCache::Miss> misses,
            Stream& compute);
  void start(const Launch& launch, std::int32_t expert, Stream& compute);
  void bring(const Group& group, Bank& bank, std::int32_t slot, HostExperts::Slot& host,
             Stream& compute);
  void bring_unified(const Group& group, Bank& bank, std::int32_t slot, HostExperts::Slot& host,
                     Stream& compute);
  void pack(const Group& group, std::size_t matrix, std::byte* from, std::byte* to,
            Stream& compute);
  /// Copies do not write to their source: the cast only fits the one span type.
  BufferSpan host_span(const std::byte* data, std::size_t bytes) const {
    return {const_cast<std::byte*>(data), bytes, host_.kind()};
  }

  Device& device_;
  std::vector<Group> groups_;
  std::vector<Launch> launches_;
  Buffer workspace_;
  std::vector<Buffer> raw_;  // file bytes on the device, until they are packed
  std::vector<Event> raw_free_;
  std::size_t next_raw_ = 0;
  HostExperts host_;
  bool keeps_ = false;  // else all launches share one group of the host's slots
  std::vector<HostExperts::Pending> pending_;  // of the launch at work, in the order of its misses
  std::vector<std::int32_t> leased_;
  ExpertStats stats_;
  SlotTasks observed_{nullptr, kObservedSlots};
  std::unique_ptr<Stream> upload_;  // goes first: before what it copies from and to
};

}  // namespace strata
