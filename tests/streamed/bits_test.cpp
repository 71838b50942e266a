// Weights that stream give the bits of weights that stay, whatever they stream through.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include "runtime/engine/measure_layouts.h"
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
  for (const std::vector<int>& row : pairwise({4, 3, 3, 3, 3, kMixes, 2, 2, 2}, 20261121)) {
    RunnerOptions options = streamed_options(kMaxTokens[row[6]]);
    options.stream.unit_bytes = kUnitBytes[row[0]];
    options.stream.slots = 2 + row[1];
    options.stream.ring_slots = kRingSlots[row[2]];
    options.stream.reader_threads = 1 + row[3];
    options.stream.method = kMethods[row[4]];
    options.programs.pack_weights = row[7] == 0;
    options.stream.file_layout = row[8] == 1;
    all.push_back({fmt::format("units of {}, {} slots, ring {}, {} threads, {}, mix {}, {} tokens, "
                               "pack {}, file layout {}",
                               kUnitBytes[row[0]], 2 + row[1], kRingSlots[row[2]], 1 + row[3],
                               method_name(kMethods[row[4]]), row[5], kMaxTokens[row[6]],
                               row[7] == 0, row[8] == 1),
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
  const auto device = first_vulkan_device();
  if (!device) GTEST_SKIP() << "no Vulkan device";
  const auto cpu = open_device("cpu", {1});
  int number = 0;
  for (const auto& [name, model] : streamed_models()) {
    // It would take as long as the others together; StreamedParts runs it there.
    if (name == quantized_fixture("Q4_K_M").stem()) continue;
    std::map<std::pair<std::int32_t, bool>, Answers> resident;
    for (const Setting& setting : settings()) {
      const auto key =
          std::pair(setting.options.programs.max_tokens, setting.options.programs.pack_weights);
      if (number++ % kEveryOnVulkan != 0) continue;
      if (setting.mix == 5) continue;  // the CPU rounds at other places
      RunnerOptions options = setting.options;
      options.stream.file_layout = false;  // only where bits do not depend on it (see below)
      if (!resident.contains(key)) {
        Runner runner(model, *device, options);
        resident[key] = answers_of(runner);
      }
      Runner runner(model, place_tiers(*model, *cpu, *device, tiers_of(*model, setting.mix)),
                    options);
      EXPECT_EQ(answers_of(runner), resident[key]) << name << ": " << setting.text;
    }
  }
}

// Where measuring finds that a device computes the same bits in the file's layout, it does so of
// whole models too. Returns whether it was found.
bool expect_measured_bits_hold(const NamedModel& named, Device& cpu, Device& device) {
  LinkSpeeds speeds;
  speeds.device_read = speeds.device_flops = 1e9;
  measure_file_layout(*named.model, device, speeds);
  EXPECT_EQ(speeds.file_layout_read > 0, speeds.file_layout_flops > 0);
  if (speeds.file_layout_read == 0) return false;
  EXPECT_GT(speeds.pack, 0);
  RunnerOptions options = streamed_options();
  Runner resident(named.model, device, options);
  const Answers want = answers_of(resident);
  options.stream.file_layout = true;
  Runner runner(named.model, place_tiers(*named.model, cpu, device, tiers_of(*named.model, 3)),
                options);
  EXPECT_EQ(answers_of(runner), want) << named.name << " on " << to_string(device.info().id);
  return true;
}

TEST(StreamedBits, DoNotDependOnTheLayoutWhereThatWasMeasured) {
  const auto cpu = open_device("cpu", {1});
  const auto vulkan = first_vulkan_device();
  for (const char* type : {"Q4_0", "Q8_0", "Q4_K_M", "Q6_K", "IQ4_XS"}) {
    const auto path = quantized_fixture(type);
    if (!std::filesystem::exists(path)) GTEST_SKIP() << "no shared fixtures";
    const NamedModel named{type, Model::load(ModelFile::open(path.string()))};
    SimDevice device(open_device("cpu", {1}), {});
    EXPECT_TRUE(expect_measured_bits_hold(named, *cpu, device)) << type;
    if (vulkan) expect_measured_bits_hold(named, *cpu, *vulkan);
  }
}

}  // namespace
}  // namespace strata::test
