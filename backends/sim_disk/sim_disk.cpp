#include "backends/sim_disk/sim_disk.h"

#include <algorithm>
#include <utility>

namespace strata::sim {

SimDisk::SimDisk(std::unique_ptr<BlockReader> inside, VirtualClock& clock,
                 const DiskOptions& options)
    : inside_(std::move(inside)),
      clock_(clock),
      options_(options),
      costs_({.upload = {options.speed.bytes_per_second, 0, options.speed.jitter}}, options.seed) {}

void SimDisk::read(const StreamUnit& unit, std::span<std::byte> slot,
                   std::span<const std::byte*> places, std::stop_token stop) {
  inside_->read(unit, slot, places, std::move(stop));
}

void SimDisk::begin(std::span<const StreamUnit> sweep, std::size_t slots) {
  sweep_ = sweep;
  free_.assign(slots, clock_.host_ns());
}

// Reads under way go on to their end; the slots of those that are over are free at once.
void SimDisk::restart(std::uint32_t first) {
  begin_until(clock_.host_ns());
  for (const std::int64_t end : ends_) free_.push_back(std::max(end, clock_.host_ns()));
  std::ranges::sort(free_);
  ends_.clear();
  next_read_ = first;
}

// When the next read begins: it has a slot, and one of those before it has made way.
std::int64_t SimDisk::next_begin() const {
  const auto most = static_cast<std::size_t>(options_.reads_at_once);
  const bool waits = most > 0 && under_way_.size() == most;
  return std::max(free_.front(), waits ? under_way_.front() : 0);
}

void SimDisk::begin_read() {
  const std::int64_t begin_ns = next_begin();
  free_.pop_front();
  const std::int64_t taken_ns = costs_.upload_ns(sweep_[next_read_++ % sweep_.size()].bytes());
  link_free_ns_ = std::max(link_free_ns_, begin_ns) + taken_ns;
  busy_ns_ += taken_ns;
  ++reads_;
  ends_.push_back(link_free_ns_ + options_.speed.latency_ns);
  if (options_.reads_at_once == 0) return;
  under_way_.push_back(ends_.back());
  if (under_way_.size() > static_cast<std::size_t>(options_.reads_at_once)) under_way_.pop_front();
}

void SimDisk::begin_until(std::int64_t now_ns) {
  while (!free_.empty() && next_begin() <= now_ns) begin_read();
}

// Reads are in order, so that the times of one are known when those before it are: they are worked
// out when somebody asks.
bool SimDisk::is_done() {
  if (ends_.empty() && !free_.empty()) begin_read();
  return !ends_.empty() && ends_.front() <= clock_.host_ns();
}

std::int64_t SimDisk::await() {
  if (is_done()) return 0;
  const std::int64_t wait_ns = ends_.front() - clock_.host_ns();
  clock_.spend(wait_ns);
  return wait_ns;
}

DiskReading SimDisk::now() {
  begin_until(clock_.host_ns());
  // What has begun and is not over fills the link until it is free.
  return {busy_ns_ - std::max<std::int64_t>(0, link_free_ns_ - clock_.host_ns()), reads_};
}

}  // namespace strata::sim
