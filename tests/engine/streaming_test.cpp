// Weights that stream: the bits are those of weights that stay.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "backends/sim/sim_device.h"
#include "runtime/core/error.h"
#include "runtime/engine/engine.h"
#include "tests/support/loaded_model.h"
#include "tests/support/shared_data.h"

namespace strata::test {
namespace {

using sim::SimDevice;

const std::vector<text::TokenId> kPrompt{1, 5, 9, 17, 33, 65, 129, 200, 41, 11, 23};

std::shared_ptr<const Model> tiny(const char* name = "strata-tiny.gguf") {
  return Model::load(ModelFile::open(source_root() / "models" / name));
}

RunnerOptions small() {
  RunnerOptions options = test_options(DType::F16, 32);
  options.context = 64;
  options.stream.unit_bytes = 16 << 10;
  options.stream.slots = 2;
  return options;
}

// Embeddings on the CPU, every `every`-th layer and the output streamed.
Placement streamed(const Model& model, Device& cpu, Device& device, int every, Tier tier) {
  const auto layers = static_cast<std::int32_t>(model.config().layers);
  PlacedPart part{&device, 0, layers, {}};
  for (std::int32_t i = 0; i <= layers; ++i)
    part.tiers.push_back((layers - i) % every == 0 ? tier : Tier::device);
  if (&cpu == &device) return {part};
  return {{&cpu, 0, 0, {}}, part};
}

struct Want {
  std::vector<float> logits;
  std::vector<text::TokenId> tokens;
};

Want resident(const std::shared_ptr<const Model>& model, const RunnerOptions& options) {
  const auto cpu = open_device("cpu", {1});
  Runner runner(model, *cpu, options);
  return {all_logits(runner, kPrompt), greedy(runner, kPrompt, 20)};
}

TEST(StreamingTest, OnTheCpuGivesTheBitsOfResidentWeights) {
  for (const char* name : {"strata-tiny.gguf", "strata-tiny-moe.gguf"}) {
    const auto model = tiny(name);
    const Want want = resident(model, small());
    for (const int every : {1, 2}) {
      const auto cpu = open_device("cpu", {1});
      Runner runner(model, streamed(*model, *cpu, *cpu, every, Tier::streamed), small());
      EXPECT_TRUE(runner.streams());
      EXPECT_EQ(all_logits(runner, kPrompt), want.logits) << name << " every " << every;
      EXPECT_EQ(greedy(runner, kPrompt, 20), want.tokens) << name << " every " << every;
      EXPECT_GT(runner.stream_stats().bytes_read, 0u);
    }
  }
}

TEST(StreamingTest, OnADeviceGivesTheBitsOfResidentWeights) {
  for (const char* name : {"strata-tiny.gguf", "strata-tiny-moe.gguf"}) {
    const auto model = tiny(name);
    const Want want = resident(model, small());
    for (const Tier tier : {Tier::streamed, Tier::host}) {
      for (std::uint64_t seed = 1; seed <= 4; ++seed) {
        const auto cpu = open_device("cpu", {1});
        SimDevice device(open_device("cpu", {1}), {0, seed});
        RunnerOptions options = small();
        options.stream.slots = 2 + static_cast<int>(seed % 3);
        options.stream.ring_slots = 2 + static_cast<int>(seed % 2);
        Runner runner(model, streamed(*model, *cpu, device, 1 + static_cast<int>(seed % 2), tier),
                      options);
        EXPECT_EQ(all_logits(runner, kPrompt), want.logits) << name << " seed " << seed;
        EXPECT_EQ(greedy(runner, kPrompt, 20), want.tokens) << name << " seed " << seed;
      }
    }
  }
}

// What was predicted is what is asked for, to the byte: a budget may be filled to its end.
TEST(StreamingTest, FillsABudgetToTheByte) {
  const auto model = tiny();
  const auto cpu = open_device("cpu", {1});
  SimDevice probe(open_device("cpu", {1}), {});
  const Placement on_probe = streamed(*model, *cpu, probe, 1, Tier::streamed);
  const std::uint64_t need = Runner::plan_memory(*model, on_probe, small()).back().allocated();
  SimDevice enough(open_device("cpu", {1}), {need, 1});
  Runner runner(model, streamed(*model, *cpu, enough, 1, Tier::streamed), small());
  EXPECT_EQ(greedy(runner, kPrompt, 20), resident(model, small()).tokens);
  EXPECT_EQ(enough.memory().ours, need);
  SimDevice less(open_device("cpu", {1}), {need - 1, 1});
  EXPECT_THROW(Runner(model, streamed(*model, *cpu, less, 1, Tier::streamed), small()), Error);
}

// The system refuses to pin the ring's memory: it is pageable then, and the bits are the same.
TEST(StreamingTest, GoesOnWithoutPinnedMemory) {
  const auto model = tiny();
  const auto cpu = open_device("cpu", {1});
  SimDevice counted(open_device("cpu", {1}), {});
  const auto last = [&](SimDevice& device) {
    const Runner runner(model, streamed(*model, *cpu, device, 1, Tier::streamed), small());
    return device.faults().allocations.load() - 1;  // the ring's slots are allocated last
  };
  const std::int64_t ring = last(counted);
  SimDevice device(open_device("cpu", {1}), {});
  device.faults().failing_allocation = ring;
  Runner runner(model, streamed(*model, *cpu, device, 1, Tier::streamed), small());
  EXPECT_TRUE(runner.stream_stats().pageable);
  EXPECT_EQ(greedy(runner, kPrompt, 20), resident(model, small()).tokens);
}

}  // namespace
}  // namespace strata::test
