// What the sweep simulator predicts of a plan against what the plan takes on a simulated device:
// two programs that share nothing but the speeds.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cmath>

#include "runtime/engine/stage.h"
#include "runtime/streaming/sweep_simulator.h"
#include "tests/streamed/rig.h"

namespace strata::test {
namespace {

// The layer that a part of the file is of; the number of layers for what is of none.
std::size_t layer_of(const Model& model, const FileRange& range) {
  for (const TensorInfo& tensor : model.file().tensors()) {
    if (tensor.shard != range.shard || range.offset < tensor.offset ||
        range.offset >= tensor.offset + tensor.bytes)
      continue;
    const std::string name(tensor.name);
    if (name.rfind("blk.", 0) == 0) return std::stoul(name.substr(4));
  }
  return static_cast<std::size_t>(model.config().layers);
}

std::int64_t ns(double bytes, double per_second) { return std::llround(bytes / per_second * 1e9); }

// The launches of a step that read matrices, as a planner sees them: bytes and speeds.
std::vector<SimLaunch> launches_of(const Model& model, const Rig& rig,
                                   const std::vector<Tier>& tiers) {
  SimDevice device(open_device("cpu", {1}), {});
  const auto layers = static_cast<std::int32_t>(model.config().layers);
  RunnerOptions options = rig.options();
  const Stage stage(model, device,
                    {{{&device, 0, layers, same_tier(model, Tier::host)}, false, true}}, options);
  const auto host = rig.disk ? SimSource::disk : SimSource::host;
  std::vector<SimLaunch> launches;
  for (const SweepUnit& unit : stage.weights().streamed().units()) {
    SimLaunch launch;
    const bool streams = tiers[layer_of(model, unit.parts.front().range)] != Tier::device;
    launch.source = streams ? host : SimSource::resident;
    launch.compute_ns = rig.speeds.launch_ns;
    for (const StreamedPart& part : unit.parts) {
      const auto bytes = static_cast<double>(part.range.bytes);
      if (rig.disk) launch.read_ns += ns(bytes, rig.disk->bytes_per_second);
      launch.compute_ns += ns(bytes, rig.speeds.device_bytes_per_second);
      launch.copy_ns +=
          rig.speeds.upload.latency_ns + ns(bytes, rig.speeds.upload.bytes_per_second);
      if (part.packed() && streams)
        launch.pack_ns += rig.speeds.launch_ns + ns(2 * bytes, rig.speeds.device_bytes_per_second);
    }
    launches.push_back(launch);
  }
  return launches;
}

void expect_predicted(const Model& model, const Rig& rig, const std::vector<Tier>& tiers) {
  SimSettings settings;
  settings.slots = rig.slots;
  settings.jitter = rig.speeds.upload.jitter;
  settings.ring_slots = rig.ring_slots;
  settings.read_latency_ns = rig.disk ? rig.disk->latency_ns : 0;
  settings.between_ns = rig.between_ns;
  settings.sweeps = 20;
  settings.warm_sweeps = 4;
  const SimResult predicted = simulate_sweeps(launches_of(model, rig, tiers), settings);
  const Measured measured = measure(rig, tiers);
  const double error = std::abs(predicted.sweep_ns / measured.token_ns - 1);
  EXPECT_LE(error, 0.10) << fmt::format(
      "{} slots, device {:.1f} and disk {:.1f} times the link, jitter {}, {} ns between: predicted "
      "{:.0f}, {}",
      rig.slots, rig.speeds.device_bytes_per_second / 1e9,
      rig.disk ? rig.disk->bytes_per_second / 1e9 : 0.0, rig.speeds.upload.jitter, rig.between_ns,
      predicted.sweep_ns, text_of(measured));
}

TEST(StreamedPlanError, IsAtMostATenth) {
  const auto model = rig_model();
  std::vector<Tier> half = same_tier(*model, Tier::host);
  for (std::size_t i = 0; i < half.size(); i += 2) half[i] = Tier::device;
  for (const std::vector<Tier>& tiers : {same_tier(*model, Tier::host), half})
    for (const int slots : {2, 3, 4})
      for (const double share : {20.0, 4.0, 1.5, 0.5, 0.1})
        for (const double jitter : {0.0, 0.3})
          expect_predicted(*model, {speeds_of(share, jitter), slots}, tiers);
}

// The same from the disk, whichever of the three links is the slowest.
TEST(StreamedPlanError, IsAtMostATenthFromTheDisk) {
  const auto model = rig_model();
  std::vector<Tier> half = same_tier(*model, Tier::streamed);
  for (std::size_t i = 0; i < half.size(); i += 2) half[i] = Tier::device;
  for (const std::vector<Tier>& tiers : {same_tier(*model, Tier::streamed), half})
    for (const int slots : {2, 3, 4})
      for (const double disk : {0.3, 0.8, 1.2, 4.0})
        for (const double share : {20.0, 1.5, 0.3})
          for (const double jitter : {0.0, 0.3}) {
            Rig rig{speeds_of(share, jitter), slots};
            rig.disk = {disk * 1e9, 2000, jitter};
            expect_predicted(*model, rig, tiers);
            rig.between_ns = 300'000;
            expect_predicted(*model, rig, tiers);
          }
}

}  // namespace
}  // namespace strata::test
