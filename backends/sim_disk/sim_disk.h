#pragma once

#include <deque>
#include <memory>
#include <vector>

#include "backends/sim/cost_model.h"
#include "backends/sim/virtual_clock.h"
#include "runtime/streaming/block_reader.h"

namespace strata::sim {

struct DiskOptions {
  LinkSpeed speed = {};
  /// Reads under way at once: latencies overlap, bytes come one after the other. 0: as many as
  /// there are slots.
  int reads_at_once = 0;
  std::uint64_t seed = 1;  ///< of the jitter
};

/// What a disk has done until the clock's now.
struct DiskReading {
  std::int64_t busy_ns = 0;  ///< bytes came
  std::uint64_t reads = 0;   ///< begun
};

/// A reader whose reads take time on the virtual clock of a simulated device, whatever time they
/// really take: the disk of a pipeline that is disk, copies and kernels. For one ring; its consumer
/// is the thread that uses the clock.
class SimDisk final : public BlockReader, private ReadTimeline {
 public:
  /// The clock outlives the disk.
  SimDisk(std::unique_ptr<BlockReader> inside, VirtualClock& clock, const DiskOptions& options);

  void read(const StreamUnit& unit, std::span<std::byte> slot, std::span<const std::byte*> places,
            std::stop_token stop) override;
  ReaderStats stats() const override { return inside_->stats(); }
  void begin_sweep() override { inside_->begin_sweep(); }
  void prepare(std::span<const std::span<std::byte>> slots) override { inside_->prepare(slots); }
  ReadMethod method() const override { return inside_->method(); }
  std::string note() const override { return inside_->note(); }
  ReadTimeline* timeline() override { return this; }

  DiskReading now();

 private:
  void begin(std::span<const StreamUnit> sweep, std::size_t slots) override;
  void restart(std::uint32_t first) override;
  bool is_done() override;
  std::int64_t await() override;
  void take() override { ends_.pop_front(); }
  void give_back() override { free_.push_back(clock_.host_ns()); }

  std::int64_t next_begin() const;
  void begin_read();
  void begin_until(std::int64_t now_ns);

  std::unique_ptr<BlockReader> inside_;
  VirtualClock& clock_;
  DiskOptions options_;
  CostModel costs_;
  std::span<const StreamUnit> sweep_;
  std::uint64_t next_read_ = 0;    ///< counted through the sweeps since the last restart
  std::deque<std::int64_t> free_;  ///< since when slots that no read has been begun for are free
  std::deque<std::int64_t> ends_;  ///< of the reads that were begun and not taken, in order
  std::deque<std::int64_t> under_way_;  ///< ends of the last reads, as many as may overlap
  std::int64_t link_free_ns_ = 0;
  std::int64_t busy_ns_ = 0;  ///< of all that was begun
  std::uint64_t reads_ = 0;
};

}  // namespace strata::sim
