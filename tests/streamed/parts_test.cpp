// Layers of which a part stays on the device and the rest streams: the bits of layers that stay,
// and a link that is busy all the time.
#include "tests/streamed/parts.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "runtime/core/error.h"
#include "runtime/engine/residency_request.h"
#include "tests/streamed/rig.h"
#include "tests/streaming/poisoned_slots.h"

namespace strata::test {
namespace {

constexpr std::uint64_t kPieces[] = {4 << 10, 40 << 10, 32 << 20};
constexpr unsigned kRounds = 4;

RunnerOptions options_of(unsigned round) {
  RunnerOptions options = streamed_options(round % 2 == 0 ? 4 : 32);
  options.stream.unit_bytes = std::array{1u, 8u << 10, 48u << 10, 32u << 20}[round % 4];
  options.stream.slots = 2 + static_cast<int>(round % 3);
  options.programs.pack_weights = round % 4 != 3;
  return options;
}

TEST(StreamedParts, HaveTheSameBitsOnASimulatedDevice) {
  unsigned seed = 0;
  for (const auto& [name, model] : streamed_models()) {
    const Answers want = resident_answers(model);
    for (const std::uint64_t piece : kPieces)
      for (unsigned round = 0; round < kRounds; ++round) {
        const auto cpu = open_device("cpu", {1});
        SimDevice device(open_device("cpu", {1}), {.seed = ++seed});
        PoisonedSlots slots(device);
        RunnerOptions options = options_of(round);
        options.stream.file_layout = seed % 2 == 0;
        options.observer = &slots;
        {
          const Placement placement = place_parts(*model, *cpu, device, piece, seed);
          const MemoryPlan plan = Runner::plan_memory(*model, placement, options).back();
          Runner runner(model, placement, options);
          EXPECT_EQ(answers_of(runner), want) << name << ", pieces of " << piece << ", " << seed;
          EXPECT_LE(device.memory().ours, plan.allocated());
        }
        EXPECT_EQ(device.memory().ours, 0u);
      }
  }
}

// Where memory is unified a layer that streams in part is computed in the file's layout.
TEST(StreamedParts, HaveTheSameBitsOnTheCpu) {
  unsigned seed = 100;
  for (const auto& [name, model] : streamed_models()) {
    const Answers want = resident_answers(model);
    for (unsigned round = 0; round < kRounds; ++round) {
      const auto cpu = open_device("cpu", {2});
      Runner runner(model, place_parts(*model, *cpu, *cpu, kPieces[round % 3], ++seed),
                    options_of(round));
      EXPECT_EQ(answers_of(runner), want) << name << ", " << seed;
    }
  }
}

TEST(StreamedParts, HaveTheSameBitsOnVulkan) {
  const auto device = first_vulkan_device();
  if (!device) GTEST_SKIP() << "no Vulkan device";
  const auto cpu = open_device("cpu", {1});
  unsigned seed = 200;
  for (const auto& [name, model] : streamed_models()) {
    for (unsigned round = 0; round < kRounds; ++round) {
      const RunnerOptions options = options_of(round);
      Answers want;
      {
        Runner runner(model, *device, options);
        want = answers_of(runner);
      }
      Runner runner(model, place_parts(*model, *cpu, *device, kPieces[round % 3], ++seed), options);
      EXPECT_EQ(answers_of(runner), want) << name << ", " << seed;
    }
  }
}

TEST(StreamedParts, ThatAreNotThoseOfTheProgramAreRefused) {
  const auto model = rig_model();
  const auto cpu = open_device("cpu", {1});
  SimDevice device(open_device("cpu", {1}), {});
  Placement placement = place_parts(*model, *cpu, device, 1 << 20, 1);
  placement.back().ops[2].pop_back();
  EXPECT_THROW(Runner(model, placement, streamed_options()), std::logic_error);
}

struct Played {
  Measured measured;
  ResidencyPlan plan;
};

// The planner's own plan for a budget, played on the virtual clock.
Played play(std::uint64_t budget) {
  const sim::DeviceSpeeds speeds = speeds_of(10);
  const auto model = rig_model();
  const auto cpu = open_device("cpu", {1});
  sim::SimOptions sim_options;
  sim_options.memory_bytes = budget;
  sim_options.speeds = speeds;
  SimDevice device(open_device("cpu", {1}), sim_options);
  ResidencyWish wish;
  wish.options = streamed_options(4);
  wish.context_asked = wish.max_tokens_asked = true;
  wish.budgets = {budget, 1 << 26, 1 << 26};
  wish.links = {1e15, 1e15, 1e9, 1e10, 1e15, 1e15, 1e15, 1e10};
  ResidencyRequest request = make_residency_request(*model, device, cpu.get(), wish);
  request.copy_latency = 200e-9;
  request.op_latency = 100e-9;
  Played played;
  played.plan = plan_residency(request);
  const PlannedResidency planned =
      apply_residency(request, played.plan, device, cpu.get(), wish.options);
  Runner runner(model, planned.placement, planned.options);
  played.measured = steady_token(runner, *device.clock());
  return played;
}

TEST(StreamedParts, KeepTheLinkBusyAsPlanned) {
  const std::uint64_t whole = 2'800'000;
  // Where more stays, a step waits longer for what it brings itself, behind copies of weights.
  for (const std::uint64_t percent : {25, 35, 50, 60, 75, 80}) {
    const auto [m, plan] = play(whole * percent / 100);
    EXPECT_TRUE(plan.streams);
    const std::string text =
        fmt::format("{} %: {}, planned {:.0f} ns, {} resident", percent, text_of(m),
                    plan.predicted->sweep_seconds * 1e9, plan.need.resident);
    EXPECT_LE(m.token_ns, 1.05 * m.slower_link()) << text;
    EXPECT_NEAR(m.token_ns, plan.predicted->sweep_seconds * 1e9, 0.1 * m.token_ns) << text;
  }
}

}  // namespace
}  // namespace strata::test
