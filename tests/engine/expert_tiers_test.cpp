// Whole models whose experts come through slots beside layers of the CPU, and from pinned memory:
// the bits are those of experts that stay where their layers are.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <random>

#include "backends/sim/sim_device.h"
#include "runtime/core/error.h"
#include "runtime/engine/residency_request.h"
#include "tests/streaming/poisoned_slots.h"
#include "tests/support/loaded_model.h"
#include "tests/support/shared_data.h"

namespace strata::test {
namespace {

using sim::SimDevice;

const std::vector<text::TokenId> kPrompt{1, 5, 9, 17, 33, 65, 129, 200, 41, 11, 23};

std::filesystem::path own_moe() { return source_root() / "models" / "strata-tiny-moe.gguf"; }

RunnerOptions with_experts(std::int64_t slots, std::int64_t kept = 0) {
  RunnerOptions options = test_options(DType::F16, 32);
  options.context = 64;
  options.expert_slots = slots;
  options.experts_kept = kept;
  return options;
}

std::unique_ptr<Device> open_if_there(const std::string& name) {
  try {
    return open_device(name, {1});
  } catch (const Error&) {
    return nullptr;
  }
}

// The CPU looks up embeddings and computes the first `cpu_layers`, with their experts.
Placement beside_cpu(const Model& model, Device& cpu, Device& device, std::int32_t cpu_layers) {
  const auto layers = static_cast<std::int32_t>(model.config().layers);
  PlacedPart first{&cpu, 0, cpu_layers, {}};
  first.experts_stay = true;
  return {first, {&device, cpu_layers, layers - cpu_layers, {}}};
}

struct Experts {
  std::int64_t slots;
  std::int64_t kept;
};

// One slot, a token's, some, all; nothing kept, some, all.
std::vector<Experts> choices(const ModelConfig& config) {
  const std::int64_t token = config.layers * config.experts_used;
  const std::int64_t all = config.layers * config.experts;
  return {{1, 0}, {token, 2 * token}, {token + 3, all}, {1, all}, {all, token}};
}

class ExpertTiers : public testing::TestWithParam<const char*> {};

// For the same layers on the same devices.
TEST_P(ExpertTiers, BesideLayersOfTheCpu) {
  const auto device = open_if_there(GetParam());
  if (device == nullptr) GTEST_SKIP() << "SKIP: no device " << GetParam();
  const auto model = Model::load(ModelFile::open(own_moe()));
  const auto cpu = open_device("cpu", {1});
  const bool slow = GetParam() == std::string("vulkan:0");
  for (const std::int32_t layers : {1, static_cast<std::int32_t>(model->config().layers) - 1}) {
    const Placement placement = beside_cpu(*model, *cpu, *device, layers);
    Runner resident(model, placement, with_experts(0));
    std::vector<OpSample> trace;
    resident.set_trace(&trace);  // enqueued anew, as a step with experts that come is
    const std::vector<float> logits = all_logits(resident, kPrompt);
    const std::vector<text::TokenId> tokens = greedy(resident, kPrompt, 12);
    std::vector<Experts> tested = choices(model->config());
    if (slow) tested = {tested[1]};
    for (const Experts& experts : tested) {
      SCOPED_TRACE(fmt::format("{} layers of the CPU, {} slots, {} kept", layers, experts.slots,
                               experts.kept));
      Runner runner(model, placement, with_experts(experts.slots, experts.kept));
      EXPECT_TRUE(runner.streams());
      EXPECT_EQ(all_logits(runner, kPrompt), logits);
      EXPECT_EQ(greedy(runner, kPrompt, 12), tokens);
      EXPECT_GT(runner.stream_stats().expert_misses, 0u);
    }
  }
}

TEST_P(ExpertTiers, FromPinnedMemory) {
  const auto device = open_if_there(GetParam());
  if (device == nullptr) GTEST_SKIP() << "SKIP: no device " << GetParam();
  const auto model = Model::load(ModelFile::open(own_moe()));
  std::vector<OpSample> trace;
  Runner resident(model, *device, with_experts(0));
  resident.set_trace(&trace);
  const std::vector<float> logits = all_logits(resident, kPrompt);
  const std::int64_t all = model->config().layers * model->config().experts;
  const bool slow = GetParam() == std::string("vulkan:0");
  for (const std::int64_t slots :
       slow ? std::vector<std::int64_t>{3} : std::vector<std::int64_t>{1, 3, all / 2}) {
    SCOPED_TRACE(slots);
    Runner runner(model, *device, with_experts(slots, all));
    EXPECT_EQ(all_logits(runner, kPrompt), logits);
    const StreamStats first = runner.stream_stats();
    EXPECT_EQ(all_logits(runner, kPrompt), logits);
    const StreamStats second = runner.stream_stats();
    EXPECT_EQ(second.bytes_read, first.bytes_read) << "nothing is read twice";
    EXPECT_GT(second.bytes_uploaded, first.bytes_uploaded);
    EXPECT_EQ(second.expert_misses - first.expert_misses,
              second.expert_host_hits - first.expert_host_hits);
  }
}

INSTANTIATE_TEST_SUITE_P(Devices, ExpertTiers, testing::Values("sim:0", "vulkan:0"),
                         [](const auto& tested) {
                           const std::string name = tested.param;
                           return name.substr(0, name.find(':'));
                         });

// Nothing is pinned for the CPU: what it reads is memory already.
TEST(ExpertTiersOnTheCpu, KeepNothing) {
  const auto model = Model::load(ModelFile::open(own_moe()));
  const auto cpu = open_device("cpu", {1});
  const Placement whole = place_whole(*model, *cpu);
  EXPECT_EQ(Runner::plan_memory(*model, whole, with_experts(9, 1000)).front().allocated(),
            Runner::plan_memory(*model, whole, with_experts(9, 0)).front().allocated());
}

TEST(ExpertTiersBudget, IsFilledToTheByte) {
  const auto model = Model::load(ModelFile::open(own_moe()));
  const auto cpu = open_device("cpu", {1});
  const auto all = model->config().layers * model->config().experts;
  for (const std::int64_t kept : {std::int64_t{0}, std::int64_t{20}, all}) {
    SimDevice probe(open_device("cpu", {1}), {});
    const MemoryPlan need =
        Runner::plan_memory(*model, beside_cpu(*model, *cpu, probe, 1), with_experts(9, kept))
            .back();
    SimDevice enough(open_device("cpu", {1}), {need.allocated(), 1});
    PoisonedSlots slots(enough);
    RunnerOptions options = with_experts(9, kept);
    options.observer = &slots;
    Runner runner(model, beside_cpu(*model, *cpu, enough, 1), options);
    (void)greedy(runner, kPrompt, 12);
    EXPECT_EQ(enough.memory().ours, need.allocated());
    EXPECT_GE(enough.pinned_bytes(), need.host) << "and what steps need";
    EXPECT_LE(enough.pinned_bytes(), need.host + (std::uint64_t{1} << 20));
    EXPECT_GT(slots.filled(), 0);
    EXPECT_EQ(slots.overwritten(), 0);
  }
}

/// A model and what it answers where all of it is on the CPU.
struct Known {
  std::shared_ptr<const Model> model;
  std::vector<float> logits;
};

Known known(const std::filesystem::path& path) {
  Known made{Model::load(ModelFile::open(path)), {}};
  const auto cpu = open_device("cpu", {1});
  Runner resident(made.model, *cpu, with_experts(0));
  made.logits = all_logits(resident, kPrompt);
  return made;
}

double speed(std::mt19937_64& random) {
  return random() % 8 == 0 ? 0 : std::exp2(27 + static_cast<double>(random() % 1000) / 100);
}

std::uint64_t between(std::mt19937_64& random, double low, double high) {
  return static_cast<std::uint64_t>(
      low * std::pow(high / low, static_cast<double>(random() % 1000) / 999));
}

struct Outcomes {
  int cpu = 0;
  int kept = 0;
  int refused = 0;
};

ResidencyWish random_wish(std::mt19937_64& random, const Model& model) {
  ResidencyWish wish;
  wish.options = with_experts(0);
  wish.context_asked = wish.max_tokens_asked = true;
  wish.cpu_may_compute = random() % 2 == 0;
  const DeviceId cpu{BackendKind::cpu, 0};
  wish.overridden.layers.resize(static_cast<std::size_t>(model.config().layers));
  for (OverriddenLayer& layer : wish.overridden.layers) {
    const auto which = random() % 12;  // whole layers, and halves
    if (which < 3) layer.feed_forward = cpu;
    if (which == 0 || which == 3) layer.attention = cpu;
  }
  if (random() % 6 == 0) wish.overridden.output = cpu;
  wish.links = {speed(random), speed(random), speed(random), speed(random),
                speed(random), speed(random), speed(random)};
  const double bytes = static_cast<double>(model.file().tensor_bytes());
  const std::uint64_t host = between(random, bytes / 10, bytes * 4);
  wish.budgets = {between(random, bytes / 20, bytes), host, 4 * host};
  return wish;
}

// Whatever the planner makes of random machines runs right within its budgets, or is refused.
void run_random(const Known& known, std::mt19937_64& random, Outcomes& outcomes) {
  const auto cpu = open_device("cpu", {1});
  const ResidencyWish wish = random_wish(random, *known.model);
  SimDevice device(open_device("cpu", {1}), {wish.budgets.device, random() % 100});
  const ResidencyRequest request = make_residency_request(*known.model, device, cpu.get(), wish);
  std::optional<ResidencyPlan> plan;
  try {
    plan = plan_residency(request);
  } catch (const Error& error) {
    ++outcomes.refused;
    EXPECT_EQ(error.code(), ErrorCode::does_not_fit) << error.what();
    EXPECT_THAT(error.what(), testing::HasSubstr("needs"));
    return;
  }
  const PlannedResidency planned = apply_residency(request, *plan, device, cpu.get(), wish.options);
  Runner runner(known.model, planned.placement, planned.options);
  EXPECT_EQ(all_logits(runner, kPrompt), known.logits);
  EXPECT_EQ(all_logits(runner, kPrompt), known.logits);
  EXPECT_LE(device.memory().ours, wish.budgets.device);
  EXPECT_LE(plan->pinned_bytes, wish.budgets.pinned);
  const bool on_cpu = std::ranges::find(plan->tiers, Tier::cpu) != plan->tiers.end();
  outcomes.cpu += on_cpu && plan->expert_slots > 0 ? 1 : 0;
  outcomes.kept += plan->experts_kept > 0 ? 1 : 0;
}

TEST(ExpertTiersPlans, RandomOnesRunRightOrAreRefused) {
  std::vector<Known> models = {known(own_moe())};
  if (std::filesystem::exists(shared_root() / "fixtures" / "models"))
    for (const char* name : {"qwen3moe", "mixtral"})
      models.push_back(known(shared_root() / "fixtures" / "models" / name));
  std::mt19937_64 random(5);
  Outcomes outcomes;
  constexpr int kCases = 1000;
  for (int i = 0; i < kCases && !testing::Test::HasFailure(); ++i) {
    SCOPED_TRACE(i);
    run_random(models[static_cast<std::size_t>(i) % models.size()], random, outcomes);
  }
  EXPECT_GT(outcomes.cpu, kCases / 10);
  EXPECT_GT(outcomes.kept, kCases / 20);
  EXPECT_GT(outcomes.refused, 0);
}

}  // namespace
}  // namespace strata::test
