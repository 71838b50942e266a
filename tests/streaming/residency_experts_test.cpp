// Plans of mixtures whose experts come one by one: what is predicted, kept on the host, and given
// to the CPU.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <random>

#include "runtime/core/error.h"
#include "runtime/streaming/expert_cache.h"
#include "runtime/streaming/residency.h"
#include "tests/streaming/residency_cases.h"

namespace strata {
namespace {

using tests::empty_request;
using tests::kMiB;
using tests::pc_links;
using tests::unit_of;

constexpr std::int64_t kExperts = 64;
constexpr std::int64_t kUsed = 4;
constexpr std::int64_t kWay = 8;  // slots for those that are on their way

// 1 MiB each, in two launches of a layer.
ExpertSlots slots_of(std::int64_t layers) {
  ExpertSlots experts;
  experts.layers = layers;
  experts.all = layers * kExperts;
  experts.token = layers * kUsed;
  experts.file_bytes = experts.device_bytes = static_cast<std::uint64_t>(experts.all) * kMiB;
  experts.flops_per_token = static_cast<double>(experts.token) * 4 * kMiB;
  experts.launches = 2 * layers;
  experts.bytes = [](std::int64_t slots) { return static_cast<std::uint64_t>(slots) * kMiB; };
  experts.most = [all = experts.all](std::uint64_t bytes) {
    return std::min<std::int64_t>(static_cast<std::int64_t>(bytes / kMiB), all);
  };
  experts.pinned = [](std::int64_t kept) {
    return static_cast<std::uint64_t>(std::max(kept, kWay)) * kMiB;
  };
  experts.most_kept = experts.most;
  experts.hit_rate = [all = experts.all](std::int64_t slots) {
    return static_cast<double>(slots) / static_cast<double>(all);
  };
  return experts;
}

// Layers of 16 MiB beside their experts.
ResidencyRequest moe_request(std::int32_t layers, std::uint64_t device_mib) {
  ResidencyRequest request = empty_request(device_mib);
  for (std::int32_t i = 0; i < layers; ++i) {
    request.units.push_back(unit_of(i, UnitPart::shared, 16 * kMiB));
    request.whole_layers.push_back(
        unit_of(i, UnitPart::layer, (16 + static_cast<std::uint64_t>(kExperts)) * kMiB));
    request.whole_layers.back().used_per_token = 20.0 / 80;
  }
  request.units.push_back(unit_of(layers, UnitPart::output, 16 * kMiB));
  request.context_asked = request.max_tokens_asked = true;
  request.max_tokens = 64;
  request.links = pc_links();
  request.experts = slots_of(layers);
  request.experts_without = [layers](const std::vector<std::int32_t>& cpu) {
    const std::int64_t left = layers - static_cast<std::int64_t>(cpu.size());
    return left > 0 ? slots_of(left) : ExpertSlots{};
  };
  return request;
}

double disk_bytes(const ResidencyPlan& plan) { return plan.links[0].bytes; }
double upload_bytes(const ResidencyPlan& plan) { return plan.links[1].bytes; }

TEST(ResidencyExperts, PredictWhatUniformRoutingBrings) {
  ResidencyRequest request = moe_request(8, 512);
  request.budgets.pinned = 16 * kMiB;  // nothing is kept
  request.op_latency = 0;
  const ResidencyPlan plan = plan_residency(request);
  ASSERT_TRUE(plan.predicted && plan.experts);
  EXPECT_EQ(plan.experts_kept, 0);
  const double rate = static_cast<double>(plan.expert_slots) / (8 * kExperts);
  EXPECT_DOUBLE_EQ(plan.experts->hit_rate, rate);
  EXPECT_EQ(plan.experts->kept_rate, 0);
  EXPECT_DOUBLE_EQ(plan.experts->wanted, kUsed);
  const double missing = 8 * kUsed * (1 - rate) * kMiB;
  EXPECT_NEAR(disk_bytes(plan), missing, 1);
  EXPECT_NEAR(upload_bytes(plan), missing, 1);
  EXPECT_EQ(plan.binding_link, "disk");
  // Misses wait for the slower link, and the first of each launch for the other too.
  const double read = 0.5 * kMiB / 7e9;
  const double copy = 0.5 * kMiB / 25e9 + request.copy_latency;
  const double waits = 16 * (kUsed * (1 - rate) * read + copy);
  EXPECT_NEAR(plan.predicted->token_seconds - plan.experts->rest_seconds, waits, 1e-9);
  EXPECT_DOUBLE_EQ(plan.predicted->token_seconds, plan.experts->step_seconds());
  const double reads = (9 * 16 + 8 * kUsed) * static_cast<double>(kMiB) / 800e9;
  EXPECT_NEAR(plan.experts->rest_seconds, reads, 0.01 * reads);
  EXPECT_GT(plan.experts->longest_step_seconds(), plan.predicted->token_seconds);
  EXPECT_NEAR(plan.experts->step_seconds(1, 0), plan.experts->rest_seconds, 1e-12);
}

TEST(ResidencyExperts, MoreSlotsPredictLess) {
  double before = 1e9;
  double bytes = 1e18;
  for (const std::uint64_t mib : {300, 400, 500, 700}) {
    ResidencyRequest request = moe_request(8, mib);
    request.budgets.pinned = 16 * kMiB;
    const ResidencyPlan plan = plan_residency(request);
    ASSERT_TRUE(plan.predicted);
    EXPECT_LT(plan.predicted->token_seconds, before);
    EXPECT_LT(disk_bytes(plan), bytes);
    before = plan.predicted->token_seconds;
    bytes = disk_bytes(plan);
  }
}

TEST(ResidencyExperts, WhatIsNotMeasuredIsNotPredicted) {
  for (double LinkSpeeds::* const link :
       {&LinkSpeeds::disk, &LinkSpeeds::upload, &LinkSpeeds::device_read}) {
    ResidencyRequest request = moe_request(8, 512);
    request.links.*link = 0;
    const ResidencyPlan plan = plan_residency(request);
    EXPECT_FALSE(plan.predicted);
    EXPECT_FALSE(plan.experts);
    EXPECT_TRUE(plan.links.empty());
    EXPECT_GT(plan.expert_slots, 0);
  }
}

TEST(ResidencyExperts, StayOnTheHostWhereTheFileIsSlower) {
  ResidencyRequest request = moe_request(8, 512);
  const ResidencyPlan all = plan_residency(request);
  EXPECT_EQ(all.experts_kept, 8 * kExperts);
  EXPECT_EQ(all.experts->kept_rate, 1);
  EXPECT_EQ(disk_bytes(all), 0) << "after they were read once";
  EXPECT_GT(upload_bytes(all), 0);
  EXPECT_EQ(all.pinned_bytes, 512 * kMiB);
  EXPECT_EQ(all.binding_link, "upload");

  request.budgets.pinned = 450 * kMiB;
  const ResidencyPlan some = plan_residency(request);
  EXPECT_LE(some.pinned_bytes, 450 * kMiB);
  EXPECT_GT(some.pinned_bytes, 440 * kMiB);
  EXPECT_NEAR(some.experts->kept_rate,
              static_cast<double>(some.experts_kept - 8 * kUsed - some.expert_slots) /
                  static_cast<double>(8 * kExperts - some.expert_slots),
              1e-12);
  EXPECT_GT(disk_bytes(some), 0);
  EXPECT_GT(some.predicted->token_seconds, all.predicted->token_seconds);

  request.links.disk = 60e9;
  EXPECT_EQ(plan_residency(request).experts_kept, 0) << "the file is as fast";
  request.links.disk = 7e9;
  request.budgets.host = 20 * kMiB;
  EXPECT_EQ(plan_residency(request).experts_kept, 0) << "no room";
  request.unified = true;
  request.budgets.host = 4096 * kMiB;
  EXPECT_EQ(plan_residency(request).experts_kept, 0) << "the host's memory is the device's";
}

TEST(ResidencyExperts, TheCpuTakesLayersWhereThatIsFaster) {
  ResidencyRequest request = moe_request(8, 256);
  request.links.disk = 1e9;
  request.budgets.pinned = 16 * kMiB;
  request.budgets.host = 4096 * kMiB;
  const ResidencyPlan alone = plan_residency(request);
  EXPECT_EQ(tests::count_of(alone, Tier::cpu), 0);
  request.cpu_may_compute = true;
  const ResidencyPlan shared = plan_residency(request);
  const int cpu = tests::count_of(shared, Tier::cpu);
  EXPECT_GT(cpu, 0);
  EXPECT_LT(shared.predicted->token_seconds, 0.95 * alone.predicted->token_seconds);
  EXPECT_EQ(shared.coming.all, (8 - cpu) * kExperts);
  EXPECT_TRUE(std::ranges::any_of(shared.notes, [](const std::string& note) {
    return note.find("the CPU computes") != std::string::npos;
  }));
  for (int i = 0; i < cpu; ++i) EXPECT_EQ(shared.tiers[static_cast<std::size_t>(i)], Tier::cpu);
  EXPECT_EQ(shared.bytes_of(Tier::cpu), static_cast<std::uint64_t>(cpu) * 80 * kMiB);

  request.links.cpu_read = 0.2e9;
  request.links.cpu_flops = 1e9;
  EXPECT_EQ(tests::count_of(plan_residency(request), Tier::cpu), 0) << "a slow CPU";
  request.links = pc_links();
  request.links.disk = 1e9;
  request.budgets.host = 16 * kMiB;
  EXPECT_EQ(tests::count_of(plan_residency(request), Tier::cpu), 0) << "no memory for it";
  request.budgets.host = 4096 * kMiB;
  request.links = {};
  EXPECT_EQ(tests::count_of(plan_residency(request), Tier::cpu), 0) << "what is not measured";
}

// Where not even one expert has room the CPU may compute all the same.
TEST(ResidencyExperts, TheCpuHelpsWhereNothingFits) {
  ResidencyRequest request = moe_request(8, 24);
  EXPECT_THROW((void)plan_residency(request), Error);
  request.cpu_may_compute = true;
  const ResidencyPlan plan = plan_residency(request);
  EXPECT_GT(tests::count_of(plan, Tier::cpu), 0);
  EXPECT_LE(plan.need.total(), 24 * kMiB);
}

// The formulas of estimates against the caches that they are about.
TEST(ResidencyExperts, EstimatesAreThoseOfUniformRouting) {
  constexpr std::int32_t kLayers = 3;
  std::mt19937 random(3);
  std::vector<std::int32_t> experts(kExperts);
  std::iota(experts.begin(), experts.end(), 0);
  for (const std::int32_t slots : {8, 24, 48}) {
    for (const std::int32_t kept : {30, 90, 150}) {
      std::vector<ExpertCache> caches(kLayers, ExpertCache(1, kExperts, slots));
      ExpertCache host(kLayers, kExperts, kept);
      double found = 0;
      double wanted = 0;
      double missing = 0;
      for (int token = 0; token < 3000; ++token) {
        for (std::int32_t layer = 0; layer < kLayers; ++layer) {
          std::shuffle(experts.begin(), experts.end(), random);
          std::vector<std::int32_t> chosen(experts.begin(), experts.begin() + kUsed);
          std::vector<std::int32_t> got(chosen.size());
          const auto misses = caches[static_cast<std::size_t>(layer)].request(0, chosen, got);
          wanted += token < 200 ? 0 : static_cast<double>(chosen.size());
          for (const auto& miss : misses) {
            std::int32_t slot = -1;
            const bool here = host.request(layer, {&miss.expert, 1}, {&slot, 1}).empty();
            if (token < 200) continue;
            missing += 1;
            found += here ? 1 : 0;
          }
        }
      }
      EXPECT_NEAR(1 - missing / wanted, static_cast<double>(slots) / kExperts, 0.01);
      const double at_least = static_cast<double>(kept - kLayers * (slots + kUsed)) /
                              static_cast<double>(kLayers * (kExperts - slots));
      EXPECT_GE(found / missing, at_least - 0.01) << slots << ' ' << kept;
    }
  }
}

}  // namespace
}  // namespace strata
