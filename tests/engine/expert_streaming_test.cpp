// Whole models whose experts come through slots: the bits are those of experts that stay.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <list>
#include <utility>

#include "backends/sim/sim_device.h"
#include "runtime/core/error.h"
#include "runtime/engine/residency_request.h"
#include "tests/support/loaded_model.h"
#include "tests/support/shared_data.h"

namespace strata::test {
namespace {

const std::vector<text::TokenId> kPrompt{1, 5, 9, 17, 33, 65, 129, 200, 41, 11, 23};

std::filesystem::path own_moe() { return source_root() / "models" / "strata-tiny-moe.gguf"; }

RunnerOptions with_slots(std::int64_t slots) {
  RunnerOptions options = test_options(DType::F16, 32);
  options.context = 64;
  options.expert_slots = slots;
  return options;
}

std::unique_ptr<Device> open_if_there(const std::string& name) {
  try {
    return open_device(name, {1});
  } catch (const Error&) {
    return nullptr;
  }
}

// From one slot for all layers to all experts of all layers.
std::vector<std::int64_t> slot_counts(const ModelConfig& config) {
  const std::int64_t token = config.layers * config.experts_used;
  return {1,     config.experts_used,       token - 1,
          token, token + config.layers + 1, config.layers * config.experts};
}

// `few`: two counts of slots only, where compiling shaders takes long.
void expect_resident_bits(const std::filesystem::path& path, const std::string& name,
                          bool few = false) {
  const auto device = open_if_there(name);
  if (device == nullptr) return;
  const auto model = Model::load(ModelFile::open(path));
  // A recorded step computes its bucket's capacity: traced it is enqueued anew, as one with
  // streamed experts is.
  std::vector<OpSample> trace;
  Runner resident(model, *device, with_slots(0));
  resident.set_trace(&trace);
  const std::vector<float> logits = all_logits(resident, kPrompt);
  const std::vector<text::TokenId> tokens = greedy(resident, kPrompt, 20);
  std::vector<std::int64_t> counts = slot_counts(model->config());
  if (few) counts = {counts[1], counts[4]};
  for (const std::int64_t slots : counts) {
    Runner runner(model, *device, with_slots(slots));
    EXPECT_TRUE(runner.streams());
    EXPECT_EQ(all_logits(runner, kPrompt), logits) << path << ' ' << name << ' ' << slots;
    EXPECT_EQ(greedy(runner, kPrompt, 20), tokens) << path << ' ' << name << ' ' << slots;
    EXPECT_GT(runner.stream_stats().expert_misses, 0u);
  }
}

// What a plan takes of the device.
MemoryPlan planned_memory(const Model& model, const ResidencyRequest& request,
                          const ResidencyPlan& plan, Device& device, Device& cpu,
                          const RunnerOptions& options) {
  const PlannedResidency planned = apply_residency(request, plan, device, &cpu, options);
  return Runner::plan_memory(model, planned.placement, planned.options).back();
}

class ExpertStreaming : public testing::TestWithParam<const char*> {};

TEST_P(ExpertStreaming, OwnModelGivesTheBitsOfResidentExperts) {
  expect_resident_bits(own_moe(), GetParam());
}

TEST_P(ExpertStreaming, FixturesGiveTheBitsOfResidentExperts) {
  STRATA_NEEDS_SHARED();
  for (const char* name : {"qwen3moe", "mixtral"})
    expect_resident_bits(shared_root() / "fixtures" / "models" / name / "model.gguf", GetParam(),
                         GetParam() == std::string("vulkan:0"));
}

INSTANTIATE_TEST_SUITE_P(Devices, ExpertStreaming, testing::Values("cpu", "sim:0", "vulkan:0"),
                         [](const auto& tested) {
                           const std::string name = tested.param;
                           return name.substr(0, name.find(':'));
                         });

// Hugging Face files have a tensor for each expert.
TEST(ExpertStreamingFiles, ExpertsMayBeTensorsOfTheirOwn) {
  STRATA_NEEDS_SHARED();
  for (const char* name : {"qwen3moe", "mixtral"})
    expect_resident_bits(shared_root() / "fixtures" / "models" / name, "cpu");
}

// With the rest of the layers streamed as well.
TEST(ExpertStreamingFiles, BesideStreamedLayers) {
  const auto model = Model::load(ModelFile::open(own_moe()));
  const auto cpu = open_device("cpu", {1});
  Runner resident(model, *cpu, with_slots(0));
  const std::vector<float> logits = all_logits(resident, kPrompt);
  for (const std::string name : {"cpu", "sim:0"}) {
    const auto device = open_device(name, {1});
    PlacedPart part{device.get(), 0, static_cast<std::int32_t>(model->config().layers), {}};
    part.tiers.assign(static_cast<std::size_t>(part.layers) + 1, Tier::streamed);
    RunnerOptions options = with_slots(9);
    options.stream.unit_bytes = 16 << 10;
    const Placement placement =
        name == "cpu" ? Placement{part} : Placement{{cpu.get(), 0, 0, {}}, part};
    Runner runner(model, placement, options);
    EXPECT_EQ(all_logits(runner, kPrompt), logits) << name;
    const StreamStats stats = runner.stream_stats();
    EXPECT_GT(stats.units, 0u);
    EXPECT_GT(stats.expert_misses, 0u);
  }
}

TEST(ExpertStreamingFiles, FillsABudgetToTheByte) {
  const auto model = Model::load(ModelFile::open(own_moe()));
  sim::SimDevice probe(open_device("cpu", {1}), {});
  const auto need_on = [&](Device& device) {
    return Runner::plan_memory(*model, place_whole(*model, device), with_slots(9))
        .front()
        .allocated();
  };
  const std::uint64_t need = need_on(probe);
  sim::SimDevice enough(open_device("cpu", {1}), {need, 1});
  Runner runner(model, enough, with_slots(9));
  (void)greedy(runner, kPrompt, 4);
  EXPECT_EQ(enough.memory().ours, need);
}

// For any budget: what is planned is what is taken, and one slot more would not fit.
TEST(ExpertStreamingPlans, FillTheirBudgets) {
  const auto model = Model::load(ModelFile::open(own_moe()));
  const auto cpu = open_device("cpu", {1});
  Runner resident(model, *cpu, with_slots(0));
  const std::vector<float> logits = all_logits(resident, kPrompt);
  const std::uint64_t whole = resident.memory().total();
  ResidencyWish wish;
  wish.options = with_slots(0);
  wish.context_asked = wish.max_tokens_asked = true;
  std::int64_t most_beside_streams = 0;
  bool stayed = false;
  for (std::uint64_t budget = whole * 9 / 10; budget > whole / 5; budget -= whole / 13) {
    SCOPED_TRACE(budget);
    wish.budgets = {budget, std::uint64_t{1} << 30, std::uint64_t{1} << 30};
    sim::SimDevice probe(open_device("cpu", {1}), {});
    ResidencyRequest request = make_residency_request(*model, probe, cpu.get(), wish);
    const ResidencyPlan plan = plan_residency(request);
    ASSERT_GT(plan.expert_slots, 0);
    const bool stays = plan.block.target_bytes == 0;
    stayed = stayed || stays;
    if (!stays) most_beside_streams = std::max(most_beside_streams, plan.expert_slots);
    EXPECT_LE(plan.need.total(), budget);
    const std::uint64_t more = request.experts.bytes(plan.expert_slots + 1);
    EXPECT_TRUE(plan.expert_slots == request.experts.all ||
                plan.need.total() - plan.need.experts + more > budget);
    const std::uint64_t need =
        planned_memory(*model, request, plan, probe, *cpu, wish.options).allocated();
    EXPECT_LE(need, plan.need.total());
    sim::SimDevice exact(open_device("cpu", {1}), {need, 1});
    const PlannedResidency on_exact =
        apply_residency(request, plan, exact, cpu.get(), wish.options);
    Runner runner(model, on_exact.placement, on_exact.options);
    EXPECT_EQ(all_logits(runner, kPrompt), logits);
    EXPECT_EQ(exact.memory().ours, need);
  }
  EXPECT_TRUE(stayed) << "all but experts";
  EXPECT_GE(most_beside_streams, model->config().layers * model->config().experts_used)
      << "where other weights stream, a token's experts have room";
}

// Where memory is the host's, what is on its way to a slot counts too.
TEST(ExpertStreamingPlans, FillTheCpusBudgets) {
  const auto model = Model::load(ModelFile::open(own_moe()));
  const auto cpu = open_device("cpu", {1});
  Runner resident(model, *cpu, with_slots(0));
  const std::vector<float> logits = all_logits(resident, kPrompt);
  const std::uint64_t whole = resident.memory().total();
  ResidencyWish wish;
  wish.options = with_slots(0);
  wish.context_asked = wish.max_tokens_asked = true;
  for (const std::uint64_t percent : {90, 70, 60}) {
    const std::uint64_t budget = whole * percent / 100;
    SCOPED_TRACE(budget);
    wish.budgets = {budget, budget, budget};
    const ResidencyRequest request = make_residency_request(*model, *cpu, cpu.get(), wish);
    const ResidencyPlan plan = plan_residency(request);
    EXPECT_LE(planned_memory(*model, request, plan, *cpu, *cpu, wish.options).total(), budget);
    const PlannedResidency planned = apply_residency(request, plan, *cpu, cpu.get(), wish.options);
    ASSERT_GT(planned.options.expert_slots, 0);
    Runner runner(model, planned.placement, planned.options);
    EXPECT_EQ(all_logits(runner, kPrompt), logits);
  }
}

TEST(ExpertStreamingPlans, KnowTheirLimits) {
  const auto model = Model::load(ModelFile::open(own_moe()));
  const auto cpu = open_device("cpu", {1});
  sim::SimDevice device(open_device("cpu", {1}), {});
  constexpr std::uint64_t kMuch = std::uint64_t{1} << 30;
  ResidencyWish wish;
  wish.options = with_slots(0);
  wish.options.context = 8192;
  wish.budgets = {kMuch, kMuch, kMuch};
  const ResidencyPlan plan =
      plan_residency(make_residency_request(*model, device, cpu.get(), wish));
  EXPECT_EQ(plan.shape.context, 4096) << "nobody asked for more, and experts want the room";
  ASSERT_FALSE(plan.notes.empty());
  EXPECT_NE(plan.notes.front().find("the context shrinks to 4096"), std::string::npos);
  wish.context_asked = true;
  EXPECT_EQ(plan_residency(make_residency_request(*model, device, cpu.get(), wish)).shape.context,
            8192);
  wish.budgets.pinned = 4096;
  try {
    (void)plan_residency(make_residency_request(*model, device, cpu.get(), wish));
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::does_not_fit);
    EXPECT_NE(std::string(error.what()).find("pinned"), std::string::npos) << error.what();
  }
}

// A file that is cut off while it is used is an error of the request.
TEST(ExpertStreamingFiles, ACutFileIsAnError) {
  const auto path = std::filesystem::temp_directory_path() / "strata-cut-experts.gguf";
  std::filesystem::copy_file(own_moe(), path, std::filesystem::copy_options::overwrite_existing);
  const auto model = Model::load(ModelFile::open(path));
  const auto device = open_device("sim:0", {1});
  RunnerOptions options = with_slots(8);
  options.max_sequences = 2;  // a failed one stays open
  Runner runner(model, *device, options);
  (void)greedy(runner, {1}, 3);
  std::filesystem::resize_file(path, 4096);
  for (int request = 0; request < 2; ++request) {
    try {
      (void)greedy(runner, kPrompt, 40);
      FAIL() << "no error";
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::io) << error.what();
    }
  }
  std::filesystem::remove(path);
}

// The routes that moe_route chose, by call.
std::vector<std::vector<std::int32_t>> chosen;

void run_and_keep(Stream& stream, const PreparedOp& op, const Operands& operands,
                  Workspace workspace) {
  const auto& inside = *static_cast<const PreparedOp*>(op.state.get());
  inside.run(stream, inside, operands, workspace);
  const TensorView& ids = operands.out[0];
  chosen.emplace_back(ids.as<std::int32_t>(), ids.as<std::int32_t>() + ids.shape.elements());
}

template <OpKind kind>
PreparedOp prepare_inside(Device& device, const OpDesc& op);

/// The CPU, which keeps what was routed.
class RoutesKept final : public Device {
 public:
  RoutesKept() : inside(open_device("cpu", {1})) {
    info_ = inside->info();
    std::size_t at = 0;
#define STRATA_OP(Type, name, inputs, inouts, outputs)                            \
  ops_.ops[at] = {inside->ops().ops[at].supports, &prepare_inside<OpKind::Type>}; \
  ++at;
#include "runtime/ops/ops.def"
#undef STRATA_OP
  }
  MemoryUse memory() const override { return inside->memory(); }
  Buffer allocate(std::size_t bytes, MemoryKind kind) override {
    return inside->allocate(bytes, kind);
  }
  std::optional<Buffer> import_host(std::span<const std::byte> bytes) override {
    return inside->import_host(bytes);
  }
  std::unique_ptr<Stream> open_stream(StreamRole role) override {
    return inside->open_stream(role);
  }
  const OpTable& ops() const override { return ops_; }

  std::unique_ptr<Device> inside;

 private:
  OpTable ops_;
};

template <OpKind kind>
PreparedOp prepare_inside(Device& device, const OpDesc& op) {
  Device& inside = *static_cast<RoutesKept&>(device).inside;
  PreparedOp prepared = inside.ops()[kind].prepare(inside, op);
  if (kind != OpKind::MoeRoute) return prepared;
  prepared.state = std::make_shared<const PreparedOp>(prepared);
  prepared.run = run_and_keep;
  return prepared;
}

// Hits and misses of decoding are those of a list with the most recent in front, for each layer,
// over the routes that the ops have made.
TEST(ExpertStreamingCounts, FollowTheRoutes) {
  RoutesKept device;
  const auto model = Model::load(ModelFile::open(own_moe()));
  const auto layers = static_cast<std::size_t>(model->config().layers);
  for (const std::size_t slots : {2u, 3u, 5u, 8u}) {
    chosen.clear();
    Runner runner(model, device, with_slots(static_cast<std::int64_t>(slots * layers)));
    (void)greedy(runner, {1}, 50);
    ASSERT_EQ(chosen.size(), 50 * layers);
    ExpertCounts want;
    std::vector<std::list<std::int32_t>> recent(layers);
    for (std::size_t call = 0; call < chosen.size(); ++call) {
      auto& list = recent[call % layers];
      std::vector<std::int32_t> wanted = chosen[call];
      std::sort(wanted.begin(), wanted.end());
      std::stable_partition(wanted.begin(), wanted.end(), [&](std::int32_t e) {
        return std::find(list.begin(), list.end(), e) != list.end();
      });
      for (const std::int32_t e : wanted) {
        const auto found = std::find(list.begin(), list.end(), e);
        (found != list.end() ? want.hits : want.misses) += 2;  // gate and up; down
        if (found != list.end()) list.erase(found);
        if (list.size() == slots) {
          list.pop_back();
          want.evictions += 2;
        }
        list.push_front(e);
      }
    }
    const StreamStats stats = runner.stream_stats();
    EXPECT_EQ(stats.expert_hits, want.hits) << slots;
    EXPECT_EQ(stats.expert_misses, want.misses) << slots;
    EXPECT_EQ(stats.expert_evictions, want.evictions) << slots;
    EXPECT_EQ(want.evictions == 0, slots == 8);
  }
}

}  // namespace
}  // namespace strata::test
