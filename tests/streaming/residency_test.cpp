#include "runtime/streaming/residency.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <string>

#include "runtime/core/error.h"
#include "tests/streaming/residency_cases.h"

namespace strata {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using tests::count_of;
using tests::dense_request;
using tests::kMiB;
using tests::pc_links;

constexpr Tier kDevice = Tier::device;
constexpr Tier kStreamed = Tier::streamed;

// Of 8 layers with 1024 tokens: 32 MiB of cache, and 32 MiB of activations for 512 tokens.
TEST(Residency, EverythingStaysWhereEverythingFits) {
  const ResidencyPlan plan = plan_residency(dense_request(8, 100, 50, 850 + 64));
  EXPECT_EQ(count_of(plan, kDevice), 9);
  EXPECT_FALSE(plan.streams);
  EXPECT_EQ(plan.slots, 0);
  EXPECT_EQ(plan.ring_slots, 0);
  EXPECT_EQ(plan.pinned_bytes, 0u);
  EXPECT_EQ(plan.need.total(), (850 + 64) * kMiB);
  EXPECT_EQ(plan.shape.context, 1024);
  EXPECT_EQ(plan.shape.max_tokens, 512);
  EXPECT_EQ(plan.manual_flags, "-ngl all -c 1024 -ub 512");
}

TEST(Residency, OneByteLessStreams) {
  ResidencyRequest request = dense_request(8, 100, 50, 850 + 64);
  request.context_asked = true;
  request.max_tokens = 64;  // no smaller chunk helps
  request.budgets.device -= 448 * 65536 + 1;
  const ResidencyPlan plan = plan_residency(request);
  EXPECT_TRUE(plan.streams);
  EXPECT_LE(plan.need.total(), request.budgets.device);
}

TEST(Residency, WithoutSpeedsBytesCountAndNothingIsPredicted) {
  // 500 - 64 - 3 * 16 of slots - 50 of output: three layers, evenly spread. Blocks of 32 MiB would
  // leave room for two.
  const ResidencyPlan plan = plan_residency(dense_request(8, 100, 50, 500));
  EXPECT_THAT(plan.tiers, ElementsAre(kStreamed, kStreamed, kDevice, kStreamed, kStreamed, kDevice,
                                      kStreamed, kDevice, kDevice));
  EXPECT_EQ(plan.block.target_bytes, 16 * kMiB);
  EXPECT_EQ(plan.slots, 3);
  EXPECT_EQ(plan.ring_slots, 7);  // 128 MiB
  EXPECT_EQ(plan.need.resident, 350 * kMiB);
  EXPECT_EQ(plan.need.slots, 48 * kMiB);
  EXPECT_EQ(plan.bytes_of(kStreamed), 500 * kMiB);
  EXPECT_FALSE(plan.predicted.has_value());
  EXPECT_EQ(plan.binding_link, "");
  ASSERT_EQ(plan.links.size(), 4u);
  EXPECT_EQ(plan.links[0].bytes, 500.0 * kMiB);
  EXPECT_EQ(plan.links[1].bytes, 500.0 * kMiB);
  EXPECT_FALSE(plan.links[0].busy_seconds.has_value());
}

TEST(Residency, PredictsWhatTheLinksAllow) {
  ResidencyRequest request = dense_request(8, 100, 50, 500);
  request.links = pc_links();
  const ResidencyPlan plan = plan_residency(request);
  // The pinned budget has room for all that streams; so the disk has nothing to do.
  EXPECT_EQ(count_of(plan, kStreamed), 0);
  EXPECT_EQ(plan.ring_slots, 0);
  EXPECT_EQ(plan.pinned_bytes, plan.bytes_of(Tier::host));
  ASSERT_TRUE(plan.predicted.has_value());
  const double upload = static_cast<double>(plan.bytes_of(Tier::host)) / 25e9;
  EXPECT_EQ(plan.binding_link, "upload");
  EXPECT_GE(plan.predicted->sweep_seconds, upload);
  EXPECT_LE(plan.predicted->sweep_seconds, 1.05 * upload);
  EXPECT_EQ(plan.predicted->token_seconds, plan.predicted->sweep_seconds);
  EXPECT_GT(plan.predicted->compute_stall_seconds, 0.8 * upload);
  ASSERT_TRUE(plan.predicted->prompt_sweep_seconds.has_value());
  request.links.device_flops = 0;
  EXPECT_FALSE(plan_residency(request).predicted->prompt_sweep_seconds.has_value());
}

TEST(Residency, ThreeTiersAddUp) {
  ResidencyRequest request = dense_request(8, 100, 50, 500);
  request.links = pc_links();
  request.budgets.pinned = 300 * kMiB;
  const ResidencyPlan plan = plan_residency(request);
  EXPECT_GT(count_of(plan, kDevice), 1);
  EXPECT_GT(count_of(plan, Tier::host), 0);  // beside the ring
  EXPECT_GT(count_of(plan, kStreamed), 1);
  EXPECT_LE(plan.pinned_bytes, 300 * kMiB);
  EXPECT_EQ(plan.binding_link, "disk");
  const double disk = static_cast<double>(plan.bytes_of(kStreamed)) / 7e9;
  EXPECT_NEAR(plan.predicted->sweep_seconds, disk, 0.05 * disk);
}

TEST(Residency, PinsNothingWhereTheDiskKeepsUp) {
  ResidencyRequest request = dense_request(8, 100, 50, 500);
  request.links = pc_links();
  request.links.disk = 30e9;
  const ResidencyPlan plan = plan_residency(request);
  EXPECT_EQ(count_of(plan, Tier::host), 0);
  EXPECT_EQ(plan.binding_link, "upload");
}

TEST(Residency, LittleMemoryShrinksBlocksThenChunkThenContext) {
  // Blocks: 64 MiB and 2 slots of 8 fit, 2 of 16 do not.
  ResidencyPlan plan = plan_residency(dense_request(8, 100, 50, 64 + 20));
  EXPECT_EQ(plan.block.target_bytes, 8 * kMiB);
  EXPECT_EQ(plan.shape.max_tokens, 512);
  EXPECT_EQ(plan.shape.context, 1024);
  // The chunk: 32 of cache, 8 of slots, 8 of activations.
  plan = plan_residency(dense_request(8, 100, 50, 32 + 8 + 9));
  EXPECT_EQ(plan.shape.max_tokens, 128);
  EXPECT_EQ(plan.shape.context, 1024);
  EXPECT_THAT(plan.notes, testing::Contains(HasSubstr("128 tokens at a time instead of 512")));
  // The context: 8 of slots, 8 of activations and 20 of cache.
  plan = plan_residency(dense_request(8, 100, 50, 8 + 8 + 20));
  EXPECT_EQ(plan.shape.max_tokens, 128);
  EXPECT_EQ(plan.shape.context, 640);
  EXPECT_THAT(plan.notes, testing::Contains(HasSubstr("the context shrinks to 640 tokens")));
  // Then both go on: 16 of cache are 512 tokens, 4 MiB are 64 tokens of activations.
  plan = plan_residency(dense_request(8, 100, 50, 8 + 4 + 16));
  EXPECT_EQ(plan.shape.max_tokens, 64);
  EXPECT_EQ(plan.shape.context, 512);
  // At last 1 MiB: half of it for 16 tokens of context, the other half for 8 of a step.
  plan = plan_residency(dense_request(8, 100, 50, 8 + 1));
  EXPECT_EQ(plan.shape.max_tokens, 8);
  EXPECT_EQ(plan.shape.context, 16);
}

TEST(Residency, AContextThatWasAskedForNeverShrinks) {
  ResidencyRequest request = dense_request(8, 100, 50, 8 + 8 + 20);
  request.context_asked = true;
  try {
    plan_residency(request);
    FAIL() << "it fits";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::does_not_fit);
    EXPECT_EQ(error.subject(), "sim:0");
    // 32 of cache, 8 of slots and activations of one token.
    EXPECT_THAT(error.detail(), HasSubstr("4.1 MiB short"));
    EXPECT_THAT(error.detail(), HasSubstr("needs 40.1 MiB"));
    EXPECT_THAT(error.detail(), HasSubstr("has 36.0 MiB"));
    EXPECT_THAT(error.hint(), HasSubstr("-c"));
  }
}

TEST(Residency, ALargeDefaultContextMakesRoomForWeights) {
  // Trained for 65536 tokens: 2 GiB of cache. Half of it and all weights fit.
  ResidencyRequest request = dense_request(8, 100, 50, 850 + 32 + 1024);
  request.context = 65536;
  ResidencyPlan plan = plan_residency(request);
  EXPECT_FALSE(plan.streams);
  EXPECT_EQ(plan.shape.context, 32768);
  // Where weights must stream, the context is not what keeps them out.
  request.budgets.device = 600 * kMiB;
  plan = plan_residency(request);
  EXPECT_TRUE(plan.streams);
  EXPECT_EQ(plan.shape.context, 4096);
  request.context_asked = true;
  request.context = 16384;
  plan = plan_residency(request);
  EXPECT_EQ(plan.shape.context, 16384);
}

TEST(Residency, TooLittlePinnedMemoryIsAnErrorOfItsOwn) {
  ResidencyRequest request = dense_request(8, 100, 50, 500);
  request.budgets.pinned = 4 * kMiB;
  try {
    plan_residency(request);
    FAIL() << "it fits";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::does_not_fit);
    EXPECT_THAT(error.detail(), HasSubstr("pinned"));
    EXPECT_THAT(error.hint(), HasSubstr("--host-mem"));
  }
  request.budgets.pinned = 9 * kMiB;  // two slots of 4 MiB
  EXPECT_EQ(plan_residency(request).ring_slots, 2);
}

TEST(Residency, ForcedTiersHold) {
  ResidencyRequest request = dense_request(8, 100, 50, 500);
  request.links = pc_links();
  request.units[0].forced = Tier::device;
  request.units[1].forced = Tier::cpu;
  request.units[2].forced = Tier::streamed;
  request.units[3].forced = Tier::host;
  request.units[8].forced = Tier::streamed;
  const ResidencyPlan plan = plan_residency(request);
  for (const std::size_t unit : {0, 1, 2, 3, 8})
    EXPECT_EQ(plan.tiers[unit], *request.units[unit].forced) << unit;
  EXPECT_EQ(count_of(plan, Tier::cpu), 1);  // no more: it was not asked to help
  // Six layers' cache, and the CPU's layer in host memory with its own.
  EXPECT_EQ(plan.need.kv, 7 * 4 * kMiB);
  EXPECT_EQ(plan.host_bytes, plan.pinned_bytes + 104 * kMiB);
  EXPECT_THAT(plan.manual_flags, HasSubstr("-ot 'blk\\.(1)\\.=CPU'"));
}

TEST(Residency, GpuLayersAreCountedFromTheOutput) {
  ResidencyRequest request = dense_request(8, 100, 50, 500);
  force_gpu_layers(request.units, 3);
  const ResidencyPlan plan = plan_residency(request);
  EXPECT_THAT(plan.tiers, ElementsAre(Tier::cpu, Tier::cpu, Tier::cpu, Tier::cpu, Tier::cpu,
                                      Tier::cpu, kDevice, kDevice, kDevice));
  EXPECT_FALSE(plan.streams);
  EXPECT_EQ(plan.slots, 0);
  EXPECT_EQ(plan.need.kv, 8 * kMiB);
  EXPECT_EQ(plan.manual_flags, "-ngl 3 -c 1024 -ub 512");
  request = dense_request(8, 100, 50, 500);
  force_gpu_layers(request.units, 0);
  EXPECT_EQ(count_of(plan_residency(request), Tier::cpu), 9);
}

TEST(Residency, AllLayersForcedMustFit) {
  ResidencyRequest request = dense_request(8, 100, 50, 500);
  force_gpu_layers(request.units, 100);
  try {
    plan_residency(request);
    FAIL() << "it fits";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::does_not_fit);
    EXPECT_THAT(error.detail(), HasSubstr("resident weights 850.0 MiB"));
    EXPECT_THAT(error.detail(), HasSubstr("slots 0 B"));
    EXPECT_THAT(error.hint(), HasSubstr("-ngl auto"));
  }
}

TEST(Residency, UnifiedMemoryReadsIntoTheRingAndUploadsNothing) {
  ResidencyRequest request = dense_request(8, 100, 50, 500);
  request.device = "cpu:0";
  request.unified = true;
  request.cpu_may_compute = true;
  request.links = pc_links();
  request.links.device_read = 40e9;
  request.links.device_flops = 1e12;
  request.budgets.pinned = request.budgets.host = 0;
  request.units[1].forced = Tier::cpu;  // it is where the CPU computes anyway
  const ResidencyPlan plan = plan_residency(request);
  EXPECT_EQ(plan.tiers[1], kDevice);
  EXPECT_EQ(count_of(plan, Tier::cpu) + count_of(plan, Tier::host), 0);
  EXPECT_EQ(plan.slots, 0);
  EXPECT_GE(plan.ring_slots, 2);
  EXPECT_EQ(plan.need.slots, static_cast<std::uint64_t>(plan.ring_slots) * plan.block.host_slot);
  EXPECT_LE(plan.need.total(), request.budgets.device);
  EXPECT_EQ(plan.links[1].bytes, 0);
  EXPECT_EQ(plan.binding_link, "disk");
  const double disk = static_cast<double>(plan.bytes_of(kStreamed)) / 7e9;
  EXPECT_NEAR(plan.predicted->sweep_seconds, disk, 0.05 * disk);
}

TEST(Residency, ThroughputTakesSequencesUntilTheirCacheCostsMore) {
  // 1 GiB of weights, 96 MiB of cache per sequence: streaming binds however many there are.
  ResidencyRequest request = dense_request(8, 128, 0, 600);
  request.links = pc_links();
  request.goal = Goal::throughput;
  request.sequences = 64;
  request.max_tokens = 64;
  request.context = 3072;
  request.context_asked = true;
  const ResidencyPlan plan = plan_residency(request);
  EXPECT_GT(plan.shape.sequences, 1);
  EXPECT_LT(plan.shape.sequences, 64);  // 6 GiB of cache
  EXPECT_LE(plan.need.total(), request.budgets.device);
  ResidencyRequest one = request;
  one.goal = Goal::latency;
  one.sequences = 1;
  EXPECT_LT(plan.predicted->token_seconds, plan_residency(one).predicted->token_seconds / 2);
  EXPECT_THAT(plan.notes, testing::Contains(HasSubstr("sequences at a time instead of 64")));
}

TEST(Residency, LongChunksArePaidByFewerSweepsOfAPrompt) {
  // 10 GB from a slow disk: a prompt's second sweep costs more than a layer's worth of memory.
  ResidencyRequest request = dense_request(80, 128, 0, 600);
  request.links = pc_links();
  request.budgets.pinned = 256 * kMiB;
  request.context = 4096;
  request.context_asked = true;
  request.typical_prompt = 2048;
  request.typical_answer = 32;
  request.budgets.device = 2000 * kMiB;
  const ResidencyPlan plan = plan_residency(request);
  EXPECT_GE(plan.shape.max_tokens, 2048);
  request.max_tokens_asked = true;
  EXPECT_EQ(plan_residency(request).shape.max_tokens, 512);
}

TEST(Residency, ASmallerBudgetAfterARefusal) {
  EXPECT_EQ(smaller_budget(1000, 100), 830u);
  EXPECT_EQ(smaller_budget(100, 100), 0u);
}

TEST(Residency, RefusesRequestsThatMakeNoSense) {
  const auto code_of = [](const ResidencyRequest& request) {
    try {
      plan_residency(request);
    } catch (const Error& error) {
      return error.code();
    }
    return ErrorCode::runtime;
  };
  const ResidencyRequest good = dense_request(2, 1, 1, 500);
  EXPECT_NO_THROW(plan_residency(good));
  ResidencyRequest bad = good;
  bad.units.clear();
  EXPECT_EQ(code_of(bad), ErrorCode::bad_request);
  bad = good;
  bad.context = 0;
  EXPECT_EQ(code_of(bad), ErrorCode::bad_request);
  bad = good;
  bad.units[0].layer = 5;
  EXPECT_EQ(code_of(bad), ErrorCode::bad_request);
  bad = good;
  bad.units[0].used_per_token = 0;
  EXPECT_EQ(code_of(bad), ErrorCode::bad_request);
  bad = good;
  bad.links.upload = std::nan("");
  EXPECT_EQ(code_of(bad), ErrorCode::bad_request);
}

}  // namespace
}  // namespace strata
