#include "runtime/streaming/sweep_simulator.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>

#include "runtime/core/error.h"

namespace strata {
namespace {

constexpr std::int64_t kNever = std::numeric_limits<std::int64_t>::max();

// SplitMix64: the sequence must be the same everywhere, which std's distributions are not.
class Jitter {
 public:
  Jitter(double variation, std::uint64_t seed) : variation_(variation), state_(seed) {}

  std::int64_t of(std::int64_t mean_ns) {
    if (variation_ <= 0) return mean_ns;
    const double exponential = -std::log(1.0 - uniform());
    const double factor = 1.0 - variation_ + variation_ * exponential;
    return static_cast<std::int64_t>(std::llround(static_cast<double>(mean_ns) * factor));
  }

 private:
  double uniform() {
    state_ += 0x9e3779b97f4a7c15u;
    std::uint64_t z = state_;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return static_cast<double>((z ^ (z >> 31)) >> 11) * 0x1p-53;
  }

  double variation_;
  std::uint64_t state_;
};

// Everything is in order: reads, copies, launches. So each time is known from earlier ones, and
// one pass in the order of the executor's thread (`now_`) computes them all.
class Simulation {
 public:
  Simulation(std::span<const SimLaunch> launches, const SimSettings& settings)
      : launches_(launches),
        settings_(settings),
        read_jitter_(settings.jitter, settings.seed),
        copy_jitter_(settings.jitter, settings.seed + 1) {
    for (std::uint32_t i = 0; i < launches.size(); ++i) {
      if (launches[i].source == SimSource::resident) continue;
      const bool disk = launches[i].source == SimSource::disk;
      streamed_.push_back(i);
      ring_place_.push_back(disk ? static_cast<std::int64_t>(from_disk_.size()) : -1);
      if (disk) from_disk_.push_back(i);
    }
    const auto sweeps = static_cast<std::size_t>(settings.sweeps);
    copy_done_.reserve(streamed_.size() * sweeps);
    slot_free_.reserve(streamed_.size() * sweeps);
    read_done_.reserve(from_disk_.size() * sweeps);
    given_back_.reserve(from_disk_.size() * sweeps);
  }

  SimResult run() {
    for (sweep_ = 0; sweep_ < settings_.sweeps; ++sweep_) {
      for (const SimLaunch& launch : launches_) {
        if (launch.on_cpu)
          run_on_cpu(launch);
        else
          run_on_device(launch);
      }
      end_sweep();
    }
    return mean();
  }

 private:
  bool counts(std::size_t unit, std::size_t per_sweep) const {
    return unit / per_sweep >= static_cast<std::size_t>(settings_.warm_sweeps);
  }
  bool steady() const { return sweep_ >= settings_.warm_sweeps; }
  std::int64_t ring_index(std::size_t unit) const {
    const std::int64_t place = ring_place_[unit % streamed_.size()];
    const std::size_t before = unit / streamed_.size() * from_disk_.size();
    return place < 0 ? -1 : static_cast<std::int64_t>(before) + place;
  }

  // When the unit's bytes are in the ring, if that is no later than `limit`. Reads begin in order,
  // each when its slot of the ring is given back; the disk serves one after the other.
  std::optional<std::int64_t> ready(std::size_t unit, std::int64_t limit) {
    const std::int64_t index = ring_index(unit);
    if (index < 0) return 0;
    while (std::ssize(read_done_) <= index) {
      const std::size_t read = read_done_.size();
      const auto slots = static_cast<std::size_t>(settings_.ring_slots);
      std::int64_t free = 0;
      if (read >= slots) {
        if (read - slots >= given_back_.size()) return std::nullopt;
        free = given_back_[read - slots];
        if (free > limit) return std::nullopt;
      }
      const std::int64_t begin = std::max(disk_free_, free);
      const std::int64_t taken =
          read_jitter_.of(launches_[from_disk_[read % from_disk_.size()]].read_ns);
      if (counts(read, from_disk_.size())) {
        total_.disk_stall_ns += static_cast<double>(begin - disk_free_);
        total_.disk_busy_ns += static_cast<double>(taken);
      }
      disk_free_ = begin + taken;
      read_done_.push_back(disk_free_ + settings_.read_latency_ns);
    }
    const std::int64_t done = read_done_[static_cast<std::size_t>(index)];
    return done <= limit ? std::optional(done) : std::nullopt;
  }

  // The copy of the next unit goes to the upload stream; its slot's last user has been enqueued.
  void enqueue_copy(std::int64_t ready_ns) {
    const std::size_t unit = copy_done_.size();
    const auto slots = static_cast<std::size_t>(settings_.slots);
    const std::int64_t slot = unit < slots ? 0 : slot_free_[unit - slots];
    const std::int64_t could = std::max(copy_free_, ready_ns);
    const std::int64_t begin = std::max({now_, copy_free_, slot});
    const std::int64_t taken =
        copy_jitter_.of(launches_[streamed_[unit % streamed_.size()]].copy_ns);
    if (counts(unit, streamed_.size())) {
      total_.copy_stall_ns += static_cast<double>(begin - could);
      total_.copy_busy_ns += static_cast<double>(taken);
    }
    copy_free_ = begin + taken;
    copy_done_.push_back(copy_free_);
    if (ring_index(unit) >= 0) given_back_.push_back(copy_free_);
  }

  // Enqueues what can be without waiting.
  void pump() {
    const std::size_t all = streamed_.size() * static_cast<std::size_t>(settings_.sweeps);
    while (copy_done_.size() < all &&
           copy_done_.size() < slot_free_.size() + static_cast<std::size_t>(settings_.slots)) {
      const std::optional<std::int64_t> there = ready(copy_done_.size(), now_);
      if (!there) return;
      enqueue_copy(*there);
    }
  }

  // The executor's thread was elsewhere since `begin`: ring slots whose copies ended meanwhile are
  // given back only now.
  void looked_away(std::int64_t begin) {
    for (std::size_t i = given_back_.size(); i-- > 0 && given_back_[i] >= begin;)
      if (given_back_[i] < now_) given_back_[i] = now_;
  }

  void run_on_device(const SimLaunch& launch) {
    if (on_cpu_) now_ += settings_.switch_ns;
    on_cpu_ = false;
    const std::int64_t could = std::max(now_, device_free_);
    std::int64_t begin = could;
    if (launch.source != SimSource::resident) begin = std::max(begin, acquire());
    begin = std::max(begin, now_);
    const std::int64_t packed = begin + launch.pack_ns;
    device_free_ = packed + launch.compute_ns;
    if (steady()) {
      total_.compute_stall_ns += static_cast<double>(begin - could);
      total_.device_busy_ns += static_cast<double>(device_free_ - begin);
    }
    if (settings_.unified) {  // a call returns when the op is done
      now_ = device_free_;
      if (launch.source == SimSource::disk) given_back_.push_back(now_);
    } else if (launch.source != SimSource::resident) {
      slot_free_.push_back(settings_.free_after_pack && launch.pack_ns > 0 ? packed : device_free_);
    }
    now_ += settings_.issue_ns;
    if (!settings_.unified) pump();
  }

  // The next unit for a launch: returns when it is on the device.
  std::int64_t acquire() {
    const std::size_t unit = used_++;
    if (settings_.unified) {
      now_ = std::max(now_, *ready(unit, kNever));
      return now_;
    }
    pump();
    while (copy_done_.size() <= unit) {
      const std::int64_t there = *ready(copy_done_.size(), kNever);
      now_ = std::max(now_, there);
      enqueue_copy(there);
      pump();
    }
    return copy_done_[unit];
  }

  void run_on_cpu(const SimLaunch& launch) {
    const std::int64_t left = now_;
    if (!on_cpu_) now_ = std::max(now_, device_free_) + settings_.switch_ns;
    on_cpu_ = true;
    now_ += launch.compute_ns;
    looked_away(left);
    if (steady()) total_.cpu_busy_ns += static_cast<double>(launch.compute_ns);
  }

  void end_sweep() {
    const std::int64_t left = now_;
    now_ = std::max(now_, device_free_) + settings_.between_ns;
    if (on_cpu_) now_ += settings_.switch_ns;
    on_cpu_ = false;
    looked_away(left);
    if (sweep_ == 0) total_.first_sweep_ns = static_cast<double>(now_);
    if (sweep_ + 1 == settings_.warm_sweeps) warm_ns_ = now_;
  }

  SimResult mean() const {
    SimResult result = total_;
    const double sweeps = settings_.sweeps - settings_.warm_sweeps;
    result.sweep_ns = static_cast<double>(now_ - warm_ns_);
    for (double* sum :
         {&result.sweep_ns, &result.compute_stall_ns, &result.copy_stall_ns, &result.disk_stall_ns,
          &result.disk_busy_ns, &result.copy_busy_ns, &result.device_busy_ns, &result.cpu_busy_ns})
      *sum /= sweeps;
    return result;
  }

  std::span<const SimLaunch> launches_;
  const SimSettings& settings_;
  Jitter read_jitter_;
  Jitter copy_jitter_;
  std::vector<std::uint32_t> streamed_;   // launches of a sweep
  std::vector<std::int64_t> ring_place_;  // of each of them among those from disk; -1: pinned
  std::vector<std::uint32_t> from_disk_;
  // By unit, counted through all sweeps:
  std::vector<std::int64_t> copy_done_;
  std::vector<std::int64_t> slot_free_;
  std::vector<std::int64_t> read_done_;  // of those from disk
  std::vector<std::int64_t> given_back_;
  std::size_t used_ = 0;
  std::int64_t now_ = 0;  // of the executor's thread
  std::int64_t disk_free_ = 0;
  std::int64_t copy_free_ = 0;
  std::int64_t device_free_ = 0;
  std::int64_t warm_ns_ = 0;
  int sweep_ = 0;
  bool on_cpu_ = false;
  SimResult total_;
};

void check(std::span<const SimLaunch> launches, const SimSettings& settings) {
  const bool sane = settings.slots >= 1 && settings.ring_slots >= 1 && settings.sweeps >= 1 &&
                    settings.warm_sweeps >= 0 && settings.warm_sweeps < settings.sweeps &&
                    settings.jitter >= 0 && settings.jitter <= 1;
  const bool resident = std::ranges::none_of(launches, [](const SimLaunch& launch) {
    return launch.on_cpu && launch.source != SimSource::resident;
  });
  if (!sane || !resident)
    throw Error(ErrorCode::bad_request, "sweep simulation",
                "needs a slot, a ring slot and a steady sweep, jitter of 0 to 1, and CPU launches "
                "whose weights are there");
}

}  // namespace

SimResult simulate_sweeps(std::span<const SimLaunch> launches, const SimSettings& settings) {
  check(launches, settings);
  return Simulation(launches, settings).run();
}

}  // namespace strata
