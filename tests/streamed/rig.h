#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "backends/sim_disk/sim_disk.h"
#include "tests/streamed/streamed_models.h"

namespace strata::test {

using sim::ClockReading;
using sim::Engine;
using sim::SimDevice;

/// Of one token, in steady state.
struct Measured {
  double token_ns = 0;
  double disk_ns = 0;     ///< bytes came from the disk
  double upload_ns = 0;   ///< the copy engine was busy
  double compute_ns = 0;  ///< kernels ran
  double stall_ns = 0;    ///< kernels waited for copies
  double bytes = 0;       ///< uploaded
  double slower_link() const { return std::max({disk_ns, upload_ns, compute_ns}); }
  friend bool operator==(const Measured&, const Measured&) = default;
};

/// A simulated card and how weights stream to it.
struct Rig {
  sim::DeviceSpeeds speeds;
  int slots = 3;
  std::uint64_t seed = 1;
  bool late = true;
  std::uint64_t unit_bytes = 16 << 10;
  std::optional<sim::LinkSpeed> disk = std::nullopt;  ///< for Tier::streamed
  int ring_slots = 4;
  int reader_threads = 2;       ///< real ones
  std::int64_t between_ns = 0;  ///< from one token to the next: sampling
  /// Around the reader of the file, below the disk's time; may be empty.
  std::function<std::unique_ptr<BlockReader>(std::unique_ptr<BlockReader>)> wrap_reader = {};

  RunnerOptions options() const {
    RunnerOptions options = streamed_options();
    options.stream.unit_bytes = unit_bytes;
    options.stream.slots = slots;
    options.stream.ring_slots = ring_slots;
    options.stream.reader_threads = reader_threads;
    return options;
  }
};

/// A model with many more units than slots.
inline std::shared_ptr<const Model> rig_model() {
  return Model::load(ModelFile::open(source_root() / "models" / "strata-tiny.gguf"));
}

/// The rig's options, with its disk on the clock; `disk` is where that is then.
inline RunnerOptions options_with_disk(const Rig& rig, sim::VirtualClock& clock,
                                       sim::SimDisk*& disk) {
  RunnerOptions options = rig.options();
  if (!rig.disk) return options;
  options.stream.wrap_reader = [&rig, &clock, &disk](std::unique_ptr<BlockReader> reader) {
    if (rig.wrap_reader) reader = rig.wrap_reader(std::move(reader));
    auto timed = std::make_unique<sim::SimDisk>(
        std::move(reader), clock, sim::DiskOptions{.speed = *rig.disk, .seed = rig.seed + 1});
    disk = timed.get();
    return timed;
  };
  return options;
}

/// Per token, in steady state; `disk` may be null.
inline Measured steady_token(Runner& runner, sim::VirtualClock& clock, sim::SimDisk* disk = nullptr,
                             std::int64_t between_ns = 0) {
  constexpr int kTokens = 16;
  PagePool& pool = runner.pool();
  const std::int32_t slot = pool.open();
  ClockReading before;
  const auto disk_ns = [&] { return disk == nullptr ? 0 : disk->now().busy_ns; };
  std::int64_t disk_before = 0;
  for (int i = 0; i < kTokens + 4; ++i) {
    if (i == 4) before = clock.read();
    if (i == 4) disk_before = disk_ns();
    pool.extend(slot, 1);
    const BatchToken token{1 + i, slot, i, true};
    runner.step({&token, 1}, [](std::size_t, std::span<const float>) {});
    clock.spend(between_ns);
  }
  const ClockReading after = clock.read();
  const auto per_token = [&](auto value) { return static_cast<double>(value) / kTokens; };
  return {per_token(after.host_ns - before.host_ns),
          per_token(disk_ns() - disk_before),
          per_token(after.busy(Engine::upload) - before.busy(Engine::upload)),
          per_token(after.busy(Engine::compute) - before.busy(Engine::compute)),
          per_token(after.upload_stall_ns - before.upload_stall_ns),
          per_token(after.bytes[1] - before.bytes[1])};
}

inline Measured measure(const Rig& rig, const std::vector<Tier>& tiers) {
  const auto model = rig_model();
  const auto cpu = open_device("cpu", {1});
  sim::SimOptions sim_options;
  sim_options.seed = rig.seed;
  sim_options.late = rig.late;
  sim_options.speeds = rig.speeds;
  SimDevice device(open_device("cpu", {1}), sim_options);
  sim::SimDisk* disk = nullptr;
  Runner runner(model, place_tiers(*model, *cpu, device, tiers),
                options_with_disk(rig, *device.clock(), disk));
  return steady_token(runner, *device.clock(), disk, rig.between_ns);
}

inline Measured measure(const Rig& rig, Tier tier) {
  return measure(rig, same_tier(*rig_model(), tier));
}

/// A card behind a link: so many times slower to copy weights than to read them.
inline sim::DeviceSpeeds speeds_of(double link_share, double jitter = 0) {
  sim::DeviceSpeeds speeds;
  speeds.upload = {1e9, 200, jitter};
  speeds.download = {1e9, 200, 0};
  speeds.device_bytes_per_second = 1e9 * link_share;
  speeds.launch_ns = 100;
  return speeds;
}

inline std::string text_of(const Measured& m) {
  return fmt::format("token {:.0f} ns: disk {:.0f}, upload {:.0f}, compute {:.0f}, stall {:.0f}",
                     m.token_ns, m.disk_ns, m.upload_ns, m.compute_ns, m.stall_ns);
}

}  // namespace strata::test
