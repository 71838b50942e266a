// Weights that stream give the bits of weights that stay, whatever they stream through.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include "tests/streamed/pairwise.h"
#include "tests/streamed/streamed_models.h"
#include "tests/streaming/poisoned_slots.h"

namespace strata::test {
namespace {

using sim::SimDevice;

constexpr std::uint64_t kUnitBytes[] = {1, 8 << 10, 48 << 10, 32 << 20};
constexpr int kRingSlots[] = {2, 3, 8};
constexpr ReadMethod kMethods[] = {ReadMethod::mapped, ReadMethod::buffered, ReadMethod::direct};
constexpr std::int32_t kMaxTokens[] = {4, 32};

// How the layers and the output (the last) are divided.
constexpr int kMixes = 6;
std::vector<Tier> tiers_of(const Model& model, int mix) {
  std::vector<Tier> tiers = same_tier(model, mix == 1 ? Tier::host : Tier::streamed);
  for (std::size_t i = 0; i < tiers.size(); ++i) {
    const bool output = i + 1 == tiers.size();
    if (mix == 2 && i % 2 == 0) tiers[i] = Tier::device;
    if (mix == 3) tiers[i] = std::array{Tier::streamed, Tier::host, Tier::device}[i % 3];
    if (mix == 4 && !output) tiers[i] = Tier::device;  // only the output streams
    if (mix == 5) tiers[i] = std::array{Tier::cpu, Tier::streamed, Tier::host}[i % 3];
  }
  return tiers;
}

struct Setting {
  std::string text;
  int mix;
  RunnerOptions options;
};

// About twenty settings in which every two choices meet.
std::vector<Setting> settings() {
  std::vector<Setting> all;
  for (const std::vector<int>& row : pairwise({4, 3, 3, 3, 3, kMixes, 2, 2}, 20261121)) {
    RunnerOptions options = streamed_options(kMaxTokens[row[6]]);
    options.stream.unit_bytes = kUnitBytes[row[0]];
    options.stream.slots = 2 + row[1];
    options.stream.ring_slots = kRingSlots[row[2]];
    options.stream.reader_threads = 1 + row[3];
    options.stream.method = kMethods[row[4]];
    options.programs.pack_weights = row[7] == 0;
    all.push_back(
        {fmt::format("units of {}, {} slots, ring {}, {} threads, {}, mix {}, {} tokens, "
                     "pack {}",
                     kUnitBytes[row[0]], 2 + row[1], kRingSlots[row[2]], 1 + row[3],
                     method_name(kMethods[row[4]]), row[5], kMaxTokens[row[6]], row[7] == 0),
         row[5], options});
  }
  return all;
}

TEST(StreamedBits, ThereAreAboutTwentySettings) {
  EXPECT_GE(settings().size(), 24u);  // the two largest factors
  EXPECT_LE(settings().size(), 36u);
}

TEST(StreamedBits, OnTheCpu) {
  for (const auto& [name, model] : streamed_models()) {
    const Answers want = resident_answers(model);
    for (const Setting& setting : settings()) {
      const auto cpu = open_device("cpu", {2});
      Runner runner(model, place_tiers(*model, *cpu, *cpu, tiers_of(*model, setting.mix)),
                    setting.options);
      EXPECT_TRUE(runner.streams());
      EXPECT_EQ(answers_of(runner), want) << name << ": " << setting.text;
    }
  }
}

TEST(StreamedBits, OnASimulatedDeviceWithPoisonedSlots) {
  std::uint64_t seed = 1;
  for (const auto& [name, model] : streamed_models()) {
    const Answers want = resident_answers(model);
    for (const Setting& setting : settings()) {
      const auto cpu = open_device("cpu", {1});
      SimDevice device(open_device("cpu", {1}), {.seed = ++seed});
      PoisonedSlots slots(device);
      RunnerOptions options = setting.options;
      options.observer = &slots;
      {
        Runner runner(model, place_tiers(*model, *cpu, device, tiers_of(*model, setting.mix)),
                      options);
        EXPECT_EQ(answers_of(runner), want) << name << ": " << setting.text;
        EXPECT_GT(slots.filled(), 0);
        // What was brought ahead and then dropped is filled again without having been freed.
        EXPECT_LE(static_cast<std::uint64_t>(slots.overwritten()),
                  runner.stream_stats().units_dropped);
      }
      EXPECT_EQ(device.memory().ours, 0u);
    }
  }
}

// With sanitizers lavapipe takes ten times as long: a part of the settings does there.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr int kEveryOnVulkan = 8;
#else
constexpr int kEveryOnVulkan = 1;
#endif

// On a GPU the bits may depend on the layout, the width of the step and the row blocks: resident
// weights are cut and packed as those that stream.
TEST(StreamedBits, OnVulkan) {
  std::string first;
  for (const DeviceInfo& info : list_devices({1}))
    if (first.empty() && info.id.backend == BackendKind::vulkan) first = to_string(info.id);
  if (first.empty()) GTEST_SKIP() << "no Vulkan device";
  const auto cpu = open_device("cpu", {1});
  const auto device = open_device(first, {1});
  int number = 0;
  for (const auto& [name, model] : streamed_models()) {
    std::map<std::pair<std::int32_t, bool>, Answers> resident;
    for (const Setting& setting : settings()) {
      const auto key =
          std::pair(setting.options.programs.max_tokens, setting.options.programs.pack_weights);
      if (number++ % kEveryOnVulkan != 0) continue;
      if (setting.mix == 5) continue;  // the CPU rounds at other places
      if (!resident.contains(key)) {
        Runner runner(model, *device, setting.options);
        resident[key] = answers_of(runner);
      }
      Runner runner(model, place_tiers(*model, *cpu, *device, tiers_of(*model, setting.mix)),
                    setting.options);
      EXPECT_EQ(answers_of(runner), resident[key]) << name << ": " << setting.text;
    }
  }
}

}  // namespace
}  // namespace strata::test
