#include "runtime/streaming/unit_feed.h"

#include <algorithm>
#include <chrono>
#include <stdexcept>
#include <utility>

#include "runtime/core/error.h"

namespace strata {
namespace {

// Reading what is pinned: as many bytes at a time as any unit has.
constexpr std::size_t kPageBytes = 4096;

class Stopwatch {
 public:
  explicit Stopwatch(std::uint64_t& total) : total_(total) {}
  ~Stopwatch() {
    total_ += static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::nanoseconds>(
                                             std::chrono::steady_clock::now() - begin_)
                                             .count());
  }
  Stopwatch(const Stopwatch&) = delete;
  Stopwatch& operator=(const Stopwatch&) = delete;

 private:
  std::uint64_t& total_;
  std::chrono::steady_clock::time_point begin_ = std::chrono::steady_clock::now();
};

std::size_t largest_raw(std::span<const SweepUnit> units) {
  std::size_t most = 0;
  for (const SweepUnit& unit : units) most = std::max(most, unit.raw_bytes);
  return most;
}

std::size_t ring_slot_bytes(std::span<const SweepUnit> units, const std::vector<bool>& pinned) {
  std::size_t most = 0;
  for (std::size_t i = 0; i < units.size(); ++i)
    if (!pinned[i])
      most = std::max<std::size_t>(most, BlockReader::slot_bytes(units[i].file_bytes()));
  return (most + kPageBytes - 1) / kPageBytes * kPageBytes;
}

std::size_t pinned_bytes(const SweepUnit& unit) {
  const std::uint64_t bytes = BlockReader::slot_bytes(unit.file_bytes());
  return (bytes + kPageBytes - 1) / kPageBytes * kPageBytes;
}

// A page-aligned part of a buffer that was made a page longer for it.
std::span<std::byte> page_aligned(const Buffer& buffer, std::size_t bytes) {
  const auto address = reinterpret_cast<std::uintptr_t>(buffer.data());
  return {buffer.data() + (kPageBytes - address % kPageBytes) % kPageBytes, bytes};
}

}  // namespace

struct UnitFeed::SlotTask {
  SlotObserver* observer;
  int slot;
  std::span<std::byte> memory;
  void (SlotObserver::*told)(int, std::span<std::byte>);
  static void run(void* context) {
    const auto& task = *static_cast<const SlotTask*>(context);
    (task.observer->*task.told)(task.slot, task.memory);
  }
};

FeedMemory UnitFeed::memory(const Device& device, std::span<const SweepUnit> units,
                            const std::vector<bool>& pinned, const StreamSettings& settings) {
  FeedMemory memory;
  if (!device.info().unified)
    memory.device = largest_raw(units) * static_cast<std::uint64_t>(settings.slots);
  if (const std::size_t slot = ring_slot_bytes(units, pinned))
    memory.host = (slot + kPageBytes) * static_cast<std::uint64_t>(settings.ring_slots);
  for (std::size_t i = 0; i < units.size(); ++i)
    if (pinned[i]) memory.host += pinned_bytes(units[i]) + kPageBytes;
  return memory;
}

UnitFeed::UnitFeed(Device& device, std::span<const SweepUnit> units,
                   const std::vector<bool>& pinned, const StreamSettings& settings,
                   std::unique_ptr<BlockReader> reader, SlotObserver* observer)
    : device_(device),
      units_(units),
      pinned_(pinned),
      settings_(settings),
      reader_(std::move(reader)),
      observer_(observer) {
  lay_out_sweep();
  if (!in_place()) take_slots();
  read_pinned();
  start_ring();
  while (!in_place() && upload(false)) {
  }
}

UnitFeed::~UnitFeed() {
  if (!upload_stream_) return;
  try {
    upload_stream_->synchronize();  // copies read the ring
  } catch (...) {
    // What failed has been reported where it was used, or was not used.
  }
}

void UnitFeed::lay_out_sweep() {
  for (std::size_t i = 0; i < units_.size(); ++i) {
    ring_place_.push_back(static_cast<std::uint32_t>(ring_sweep_.size()));
    if (!pinned_[i]) ring_sweep_.push_back(units_[i].file_bytes());
  }
  // What follows the last one is the first one.
  for (std::uint32_t& place : ring_place_)
    if (place == ring_sweep_.size()) place = 0;
}

void UnitFeed::take_slots() {
  const std::size_t bytes = largest_raw(units_);
  slot_memory_ =
      device_.allocate(bytes * static_cast<std::size_t>(settings_.slots), MemoryKind::device);
  slots_.resize(static_cast<std::size_t>(settings_.slots));
  for (std::size_t i = 0; i < slots_.size(); ++i) slots_[i].data = slot_memory_.data() + i * bytes;
  upload_stream_ = device_.open_stream(StreamRole::upload);
  copies_.reserve(static_cast<std::size_t>(settings_.ring_slots));
  if (observer_ == nullptr) return;
  for (const auto told : {&SlotObserver::on_fill, &SlotObserver::on_filled, &SlotObserver::on_free})
    for (std::size_t i = 0; i < slots_.size(); ++i)
      tasks_.push_back({observer_, static_cast<int>(i), {slots_[i].data, bytes}, told});
}

void UnitFeed::read_pinned() {
  pinned_parts_.resize(units_.size());
  for (std::size_t i = 0; i < units_.size(); ++i) {
    if (!pinned_[i]) continue;
    const StreamUnit unit = units_[i].file_bytes();
    reader_->read(unit, host_slot(pinned_bytes(units_[i])),
                  {pinned_parts_[i].data(), unit.parts.size()});
  }
}

// Where the system pins no more memory the rest is pageable: slower, but no reason to give up.
std::span<std::byte> UnitFeed::host_slot(std::size_t bytes) {
  try {
    host_memory_.push_back(device_.allocate(bytes + kPageBytes, host_kind_));
  } catch (const Error& error) {
    if (error.code() != ErrorCode::out_of_memory || host_kind_ == MemoryKind::host) throw;
    host_kind_ = MemoryKind::host;
    stats_.pageable = true;
    return host_slot(bytes);
  }
  return page_aligned(host_memory_.back(), bytes);
}

void UnitFeed::start_ring() {
  if (ring_sweep_.empty()) return;
  in_use_.reserve(static_cast<std::size_t>(settings_.ring_slots));
  const std::size_t bytes = ring_slot_bytes(units_, pinned_);
  std::vector<std::span<std::byte>> slots;
  for (int i = 0; i < settings_.ring_slots; ++i) slots.push_back(host_slot(bytes));
  ring_ = std::make_unique<StagingRing>(*reader_, ring_sweep_, std::move(slots),
                                        settings_.reader_threads);
}

std::uint32_t UnitFeed::after(std::uint32_t unit) const {
  return unit + 1 == units_.size() ? 0 : unit + 1;
}

UnitFeed::Fed UnitFeed::take(std::uint32_t unit, Stream& compute) {
  ++stats_.units;
  go_to(unit);
  if (in_place()) return take_in_place(unit);
  if (ahead_ == 0 && !upload(true))
    throw std::logic_error("more streamed units are in use at once than there are device slots");
  const std::uint32_t index = next_taken_;
  const Slot& slot = slots_[index];
  next_taken_ = (index + 1) % static_cast<std::uint32_t>(slots_.size());
  --ahead_;
  compute.wait(slot.filled);
  Fed fed{unit, index, {}};
  for (std::size_t i = 0; i < units_[unit].parts.size(); ++i)
    fed.raw[i] = slot.data + units_[unit].parts[i].raw_at;
  return fed;
}

UnitFeed::Fed UnitFeed::take_in_place(std::uint32_t unit) {
  Fed fed{unit, 0, {}};
  const std::byte* const* parts = pinned_parts_[unit].data();
  if (!pinned_[unit]) {
    const Stopwatch waiting(stats_.io_wait_ns);
    const StagingRing::Taken taken = ring_->take();
    fed.slot = taken.slot;
    in_use_.push_back(taken.slot);
    parts = taken.parts.data();
  }
  // Ops do not write to weights: the cast only fits the one view type.
  for (std::size_t i = 0; i < units_[unit].parts.size(); ++i)
    fed.raw[i] = const_cast<std::byte*>(parts[i]);
  next_unit_ = after(unit);
  return fed;
}

void UnitFeed::give_back(const Fed& fed, const Event& last_use, Stream& compute) {
  if (in_place()) {
    // Work of a stream that shares the host's memory may still be under way.
    if (!compute.reached(last_use.ticket)) compute.synchronize();
    if (pinned_[fed.unit]) return;
    std::erase(in_use_, fed.slot);
    ring_->give_back(fed.slot);
    return;
  }
  Slot& slot = slots_[fed.slot];
  if (observer_ != nullptr) {
    tell(compute, 2, fed.slot);
    slot.free = compute.record();
  } else {
    slot.free = last_use;
  }
  slot.taken = false;
  compute.flush();  // the copy that waits for it may be submitted before more of this stream is
  while (upload(false)) {
  }
}

// Uploads the next unit if its slot is free and its bytes are there (`must`: waits for them).
bool UnitFeed::upload(bool must) {
  reap();
  Slot& slot = slots_[next_slot_];
  if (slot.taken) return false;
  const std::uint32_t unit = next_unit_;
  std::optional<StagingRing::Taken> taken;
  if (!pinned_[unit] && !(taken = from_ring(must))) return false;
  if (slot.free.stream != nullptr) upload_stream_->wait(slot.free);
  if (observer_ != nullptr) tell(*upload_stream_, 0, next_slot_);
  copy_parts(units_[unit], slot, taken ? taken->parts : std::span(pinned_parts_[unit]));
  if (observer_ != nullptr) tell(*upload_stream_, 1, next_slot_);
  slot.filled = upload_stream_->record();
  upload_stream_->flush();
  if (taken) copies_.push_back({taken->slot, slot.filled.ticket});
  slot.unit = unit;
  slot.taken = true;
  ++ahead_;
  next_unit_ = after(unit);
  next_slot_ = (next_slot_ + 1) % static_cast<std::uint32_t>(slots_.size());
  return true;
}

void UnitFeed::copy_parts(const SweepUnit& unit, const Slot& slot,
                          std::span<const std::byte* const> from) {
  for (std::size_t i = 0; i < unit.parts.size(); ++i) {
    const std::size_t bytes = unit.parts[i].range.bytes;
    // Copies do not write to their source.
    upload_stream_->copy({slot.data + unit.parts[i].raw_at, bytes, MemoryKind::device},
                         {const_cast<std::byte*>(from[i]), bytes, host_kind_});
    stats_.bytes_uploaded += bytes;
  }
}

std::optional<StagingRing::Taken> UnitFeed::from_ring(bool must) {
  std::optional<StagingRing::Taken> taken = ring_->try_take();
  if (taken || !must) return taken;
  return wait_for_ring();
}

// A ring that is full of units whose copies are under way gets on when these are done.
StagingRing::Taken UnitFeed::wait_for_ring() {
  while (!copies_.empty()) {
    {
      const Stopwatch waiting(stats_.copy_wait_ns);
      upload_stream_->await(copies_.front().ticket);
    }
    reap();
    if (std::optional<StagingRing::Taken> taken = ring_->try_take()) return *taken;
  }
  const Stopwatch waiting(stats_.io_wait_ns);
  return ring_->take();
}

// Ring slots whose copies are done are the readers' again.
void UnitFeed::reap() {
  std::size_t done = 0;
  while (done < copies_.size() && upload_stream_->reached(copies_[done].ticket))
    ring_->give_back(copies_[done++].ring_slot);
  copies_.erase(copies_.begin(), copies_.begin() + static_cast<std::ptrdiff_t>(done));
}

// A step that leaves out units, or runs some twice, leaves the order: what was brought ahead is not
// what is wanted.
void UnitFeed::go_to(std::uint32_t unit) {
  const std::uint32_t next = ahead_ > 0 ? slots_[next_taken_].unit : next_unit_;
  if (next == unit) return;
  ++stats_.restarts;
  stats_.units_dropped += ahead_;
  for (; ahead_ > 0; --ahead_) {
    next_slot_ = (next_slot_ + static_cast<std::uint32_t>(slots_.size()) - 1) %
                 static_cast<std::uint32_t>(slots_.size());
    slots_[next_slot_].taken = false;
    slots_[next_slot_].free = {};  // nobody read it but the copy itself, of the same stream
  }
  if (!copies_.empty()) upload_stream_->await(copies_.back().ticket);
  reap();
  if (ring_) ring_->restart(ring_place_[unit]);
  next_unit_ = unit;
}

void UnitFeed::restart() {
  if (upload_stream_) upload_stream_->synchronize();
  for (const PendingCopy& copy : copies_) ring_->give_back(copy.ring_slot);
  for (const std::uint32_t slot : in_use_) ring_->give_back(slot);
  copies_.clear();
  in_use_.clear();
  for (Slot& slot : slots_) slot = {slot.data, 0, false, {}, {}};
  next_unit_ = next_slot_ = next_taken_ = ahead_ = 0;
  if (ring_) ring_->restart(0);
  ++stats_.restarts;
}

void UnitFeed::tell(Stream& stream, int moment, std::uint32_t slot) {
  stream.host_task(
      {&SlotTask::run, &tasks_[static_cast<std::size_t>(moment) * slots_.size() + slot]});
}

StreamStats UnitFeed::stats() const {
  StreamStats stats = stats_;
  const ReaderStats read = reader_->stats();
  stats.bytes_read = read.bytes;
  stats.reader_seconds = read.seconds;
  return stats;
}

}  // namespace strata
