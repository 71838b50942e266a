// Layers that two devices compute, as -ot, --cpu-moe and --n-cpu-moe ask: the bits are those of the
// whole model on the CPU where the device computes with its kernels, the cache is the attention's
// device's, and no device has a matrix of the other's half.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "backends/sim/sim_device.h"
#include "runtime/core/error.h"
#include "runtime/engine/program_weights.h"
#include "runtime/engine/residency_request.h"
#include "tests/streamed/streamed_models.h"

namespace strata::test {
namespace {

using sim::SimDevice;

constexpr DeviceId kCpu{BackendKind::cpu, 0};

RunnerOptions options_of_tests() {
  RunnerOptions options = test_options(DType::F16, 32);
  options.context = 64;
  return options;
}

/// A model and what it answers where all of it is on the CPU.
struct Known {
  std::string name;
  std::shared_ptr<const Model> model;
  std::vector<float> logits;
  std::vector<text::TokenId> tokens;
};

Known known(const std::filesystem::path& path) {
  Known made{path.filename().string(), Model::load(ModelFile::open(path)), {}, {}};
  const auto cpu = open_device("cpu", {1});
  Runner resident(made.model, *cpu, options_of_tests());
  made.logits = all_logits(resident, kPrompt);
  made.tokens = generate(resident, 12);
  return made;
}

const std::vector<Known>& models() {
  static const std::vector<Known> all = [] {
    std::vector<Known> found = {known(source_root() / "models" / "strata-tiny.gguf"),
                                known(source_root() / "models" / "strata-tiny-moe.gguf")};
    const std::filesystem::path fixtures = shared_root() / "fixtures" / "models";
    for (const char* name : {"llama3", "qwen3moe", "mixtral"})
      if (std::filesystem::exists(fixtures / name)) found.push_back(known(fixtures / name));
    return found;
  }();
  return all;
}

// The same of GGUF and Hugging Face names.
const std::vector<std::vector<TensorOverride>> kWishes = {
    {{"(ffn_|mlp|block_sparse_moe).*", kCpu}},
    {{"(blk|layers)\\.0\\.(ffn_|mlp|block_sparse_moe)", kCpu}},
    {{"(blk|layers)\\.0\\.(attn_|self_attn)", kCpu}},
    {{"(blk|layers)\\.0\\.(attn_|self_attn)", kCpu},
     {"(blk|layers)\\.1\\.(ffn_|mlp|block_sparse_moe)", kCpu}},
};

HalfDevices halves_of(const Model& model, const OverriddenLayers& overridden, Device& cpu,
                      Device& device) {
  HalfDevices halves(2 * static_cast<std::size_t>(model.config().layers) + 1, &device);
  for (std::size_t i = 0; i < overridden.layers.size(); ++i) {
    if (overridden.layers[i].attention) halves[2 * i] = &cpu;
    if (overridden.layers[i].feed_forward) halves[2 * i + 1] = &cpu;
  }
  return halves;
}

// Of one layer's half, where it is kept.
std::uint64_t packed_bytes(const ProgramWeights& weights) {
  std::uint64_t bytes = weights.small_bytes;
  for (const OpMatrices& op : weights.ops) bytes += op.packed_bytes;
  return bytes;
}

std::int64_t cached_layers(const HalfDevices& halves, const Device& device) {
  std::int64_t layers = 0;
  for (std::size_t i = 0; i + 1 < halves.size(); i += 2) layers += halves[i] == &device ? 1 : 0;
  return layers;
}

void expect_memory(const Model& model, Device& device, const HalfDevices& halves,
                   const MemoryPlan& memory) {
  const RunnerOptions options = options_of_tests();
  EXPECT_EQ(memory.kv, KvCache::bytes(model.config(), options.programs.kv, options.kv_extent(),
                                      cached_layers(halves, device)));
  const WeightReader reader(model, device, options.programs, true);
  std::uint64_t bytes = packed_bytes(reader.output());
  for (std::size_t i = 0; i + 1 < halves.size(); ++i)
    if (halves[i] == &device)
      bytes +=
          packed_bytes(reader.layer(static_cast<std::int32_t>(i / 2), false,
                                    i % 2 == 0 ? LayerPart::attention : LayerPart::feed_forward));
  // The embeddings are looked up where the first layer is computed; they may be the output.
  if (halves.front() == &device && model.weight(-1, "output.weight"))
    bytes += model.weight(-1, "token_embd.weight")->bytes();
  const auto expected = static_cast<double>(bytes);
  EXPECT_NEAR(static_cast<double>(memory.weights_packed), expected, 0.01 * expected + 4096);
}

TEST(SplitLayers, GiveTheBitsOfTheWholeAndLieWhereTheyAreComputed) {
  for (const Known& known : models()) {
    for (const std::vector<TensorOverride>& wish : kWishes) {
      SCOPED_TRACE(known.name + ": " + wish.back().pattern);
      const auto cpu = open_device("cpu", {1});
      SimDevice device(open_device("cpu", {1}), {});
      const OverriddenLayers overridden = override_layers(*known.model, wish);
      ASSERT_TRUE(overridden.any());
      EXPECT_THAT(overridden.notes, testing::IsEmpty());
      const HalfDevices halves = halves_of(*known.model, overridden, *cpu, device);
      const Placement placement = place_halves(halves);
      Runner runner(known.model, placement, options_of_tests());
      EXPECT_EQ(all_logits(runner, kPrompt), known.logits);
      EXPECT_EQ(generate(runner, 12), known.tokens);
      const std::vector<Device*> devices = devices_of(placement);
      const std::vector<MemoryPlan> plans =
          Runner::plan_memory(*known.model, placement, options_of_tests());
      const auto at = std::ranges::find(devices, &device) - devices.begin();
      const MemoryPlan& memory = plans[static_cast<std::size_t>(at)];
      expect_memory(*known.model, device, halves, memory);
      EXPECT_EQ(device.memory().ours, memory.allocated()) << "to the byte";
      const auto cpu_at = static_cast<std::size_t>(1 - at);
      EXPECT_EQ(plans[cpu_at].kv + memory.kv, runner.memory().kv);
    }
  }
}

// One case where another kernel set computes the other half.
TEST(SplitLayers, OnVulkanGiveTheSameTokens) {
  std::unique_ptr<Device> device;
  try {
    device = open_device("vulkan:0", {1});
  } catch (const Error& error) {
    GTEST_SKIP() << "SKIP: " << error.what();
  }
  const Known& moe = models()[1];
  const auto cpu = open_device("cpu", {1});
  const OverriddenLayers overridden = override_layers(*moe.model, kWishes.front());
  const HalfDevices halves = halves_of(*moe.model, overridden, *cpu, *device);
  Runner runner(moe.model, place_halves(halves), options_of_tests());
  EXPECT_EQ(generate(runner, 12), moe.tokens);
  EXPECT_EQ(generate(runner, 12), moe.tokens) << "steps that were recorded";
}

// What remains on the device streams where it does not fit.
ResidencyRequest request_of(const Known& known, Device& device, Device& cpu,
                            const std::vector<TensorOverride>& wish, std::uint64_t budget) {
  ResidencyWish asked;
  asked.options = options_of_tests();
  asked.context_asked = asked.max_tokens_asked = true;
  asked.overridden = override_layers(*known.model, wish);
  asked.links = {2e9, 8e9, 4e9, 20e9, 10e9, 1e12, 1e11};
  asked.budgets = {budget, std::uint64_t{1} << 30, std::uint64_t{1} << 30};
  return make_residency_request(*known.model, device, &cpu, asked);
}

TEST(SplitLayers, StreamWhatIsLeftOnTheDevice) {
  int streamed = 0;
  for (const Known& known : models()) {
    for (const std::vector<TensorOverride>& wish : kWishes) {
      const auto cpu = open_device("cpu", {1});
      SimDevice probe(open_device("cpu", {1}), {});
      const std::uint64_t all =
          plan_residency(request_of(known, probe, *cpu, wish, std::uint64_t{1} << 30)).need.total();
      for (const std::uint64_t percent : {100, 90, 75, 60, 45}) {
        SCOPED_TRACE(fmt::format("{}: {}: {} %", known.name, wish.back().pattern, percent));
        SimDevice device(open_device("cpu", {1}), {all * percent / 100, 3});
        const ResidencyRequest request = request_of(known, device, *cpu, wish, all * percent / 100);
        std::optional<ResidencyPlan> plan;
        try {
          plan = plan_residency(request);
        } catch (const Error& error) {
          EXPECT_EQ(error.code(), ErrorCode::does_not_fit) << error.what();
          continue;
        }
        const PlannedResidency planned =
            apply_residency(request, *plan, device, cpu.get(), options_of_tests());
        Runner runner(known.model, planned.placement, planned.options);
        EXPECT_EQ(all_logits(runner, kPrompt), known.logits);
        EXPECT_EQ(generate(runner, 12), known.tokens);
        const auto need = static_cast<double>(plan->need.total());
        EXPECT_NEAR(static_cast<double>(device.memory().ours), need, 0.05 * need);
        EXPECT_GT(plan->bytes_of(Tier::cpu), 0u);
        streamed += plan->bytes_of(Tier::streamed) + plan->bytes_of(Tier::host) > 0 ? 1 : 0;
      }
    }
  }
  EXPECT_GT(streamed, 20);
}

// The planner counts a layer's halves on their devices.
TEST(SplitLayers, ArePlannedByHalves) {
  const Known& moe = models()[1];
  const auto cpu = open_device("cpu", {1});
  SimDevice device(open_device("cpu", {1}), {});
  const auto plan_of = [&](const char* pattern) {
    return plan_residency(request_of(moe, device, *cpu, {{pattern, kCpu}}, std::uint64_t{1} << 30));
  };
  const ResidencyPlan none = plan_of("nothing at all");
  const ResidencyPlan experts = plan_of("_exps");
  const ResidencyPlan attention = plan_of("attn_");
  const ResidencyPlan both = plan_of("blk");
  EXPECT_EQ(experts.need.kv, none.need.kv) << "attention stays, and so does its cache";
  EXPECT_EQ(attention.need.kv, 0u);
  EXPECT_EQ(experts.bytes_of(Tier::cpu) + attention.bytes_of(Tier::cpu), both.bytes_of(Tier::cpu));
  EXPECT_EQ(experts.expert_slots, 0);
  EXPECT_GT(attention.expert_slots, 0);
  ASSERT_TRUE(experts.predicted && both.predicted);
  // Two changes of the device for each layer.
  EXPECT_GT(experts.predicted->sweep_seconds,
            20e-6 * 2 * static_cast<double>(moe.model->config().layers - 1));
  EXPECT_THAT(experts.manual_flags, testing::HasSubstr(")\\.ffn_=CPU'"));
  EXPECT_THAT(attention.manual_flags, testing::HasSubstr(")\\.attn_=CPU'"));
}

}  // namespace
}  // namespace strata::test
