// Plans in which the CPU computes, and those of mixtures.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "runtime/core/error.h"
#include "runtime/streaming/residency.h"
#include "tests/streaming/residency_cases.h"

namespace strata {
namespace {

using ::testing::HasSubstr;
using tests::count_of;
using tests::dense_request;
using tests::empty_request;
using tests::kMiB;
using tests::pc_links;
using tests::unit_of;

constexpr Tier kDevice = Tier::device;
constexpr Tier kStreamed = Tier::streamed;

// 70B in Q4_0 on a card with 20 GB of it resident, the rest in host memory: streaming.md 3.4.
ResidencyRequest split_request(double cpu_read) {
  ResidencyRequest request = empty_request(0);
  constexpr std::uint64_t kLayer = 488'750'000;  // 80 of them: 39.1 GB
  for (int i = 0; i < 80; ++i) request.units.push_back(unit_of(i, UnitPart::layer, kLayer));
  request.blocks = {tests::block_of(16 * kMiB)};
  request.budgets.device = 20'000'000'000 + 64 * 16 * kMiB + (320 + 32) * kMiB;
  request.budgets.pinned = request.budgets.host = 64'000'000'000;
  request.links = pc_links();
  request.links.cpu_read = cpu_read;
  request.cpu_may_compute = true;
  request.most_slots = 64;
  request.typical_prompt = 0;
  request.copy_latency = request.op_latency = request.switch_seconds = 0;
  return request;
}

double closed_form(double s, double r, double b, double c, double g) {
  return (s / c + r / g) / (1 + b / c - b / g);
}

TEST(Residency, CpuAndLinkShareAsTheFormulaSays) {
  for (const double cpu : {60e9, 25e9}) {
    const ResidencyRequest request = split_request(cpu);
    const ResidencyPlan plan = plan_residency(request);
    const double r = static_cast<double>(plan.bytes_of(kDevice));
    const double s = 80 * 488.75e6 - r;
    // The CPU has what the upload leaves of 80 GB/s.
    const double c = std::min(cpu, 80e9 - 25e9);
    const double best = closed_form(s, r, 25e9, c, 800e9);
    ASSERT_TRUE(plan.predicted.has_value());
    EXPECT_GT(count_of(plan, Tier::cpu), 0);
    EXPECT_GT(count_of(plan, Tier::host), 0);
    EXPECT_NEAR(plan.predicted->sweep_seconds, best, 0.06 * best) << cpu;
    const double x = static_cast<double>(plan.bytes_of(Tier::host));
    EXPECT_NEAR(x, 25e9 * best, 0.1 * 25e9 * best) << cpu;
    // Better than either alone, which the other tests show to be what they are predicted to be.
    EXPECT_LT(plan.predicted->sweep_seconds, 0.8 * (s / cpu + r / 800e9));
    EXPECT_LT(plan.predicted->sweep_seconds, 0.8 * s / 25e9);
  }
}

TEST(Residency, ASlowCpuIsLeftAlone) {
  ResidencyRequest request = split_request(0.5e9);
  EXPECT_EQ(count_of(plan_residency(request), Tier::cpu), 0);
  // Nor does one help that was not measured, or was not asked.
  request = split_request(0);
  EXPECT_EQ(count_of(plan_residency(request), Tier::cpu), 0);
  request = split_request(60e9);
  request.cpu_may_compute = false;
  EXPECT_EQ(count_of(plan_residency(request), Tier::cpu), 0);
}

TEST(Residency, LayersOfTheCpuAreSpreadAmongThoseThatStream) {
  const ResidencyPlan plan = plan_residency(split_request(60e9));
  // In no stretch of 16 layers does the CPU have 3 more than its share, or 3 less.
  const double share = count_of(plan, Tier::cpu) / 80.0;
  for (std::size_t first = 0; first + 16 <= 80; ++first) {
    int cpu = 0;
    for (std::size_t i = first; i < first + 16; ++i) cpu += plan.tiers[i] == Tier::cpu ? 1 : 0;
    EXPECT_NEAR(cpu, 16 * share, 3) << first;
  }
}

TEST(Residency, TheCpuComputesNoMoreThanHostMemoryHolds) {
  ResidencyRequest request = split_request(60e9);
  request.budgets.host = request.budgets.pinned = 24'000'000'000;
  const ResidencyPlan plan = plan_residency(request);
  EXPECT_LE(plan.host_bytes, request.budgets.host);
  EXPECT_LE(plan.pinned_bytes, request.budgets.pinned);
}

TEST(Residency, WhereNothingFitsTheCpuMayHaveAll) {
  ResidencyRequest request = dense_request(8, 100, 50, 4);
  request.units.pop_back();
  EXPECT_THROW(plan_residency(request), Error);
  request.cpu_may_compute = true;
  request.context_asked = true;
  request.max_tokens = 16;
  EXPECT_EQ(count_of(plan_residency(request), Tier::cpu), 8);
}

ResidencyRequest moe_request(std::uint64_t device_mib) {
  ResidencyRequest request = empty_request(device_mib);
  for (int i = 0; i < 8; ++i) {
    request.units.push_back(unit_of(i, UnitPart::shared, 20 * kMiB));
    request.units.push_back(unit_of(i, UnitPart::experts, 128 * kMiB));
    request.units.back().used_per_token = 1.0 / 16;
  }
  request.units.push_back(unit_of(8, UnitPart::output, 30 * kMiB));
  request.links = pc_links();
  return request;
}

TEST(Residency, SharedPartsComeBeforeExperts) {
  // 64 of cache and activations; 190 of shared parts and output; two layers' experts and slots.
  const ResidencyPlan plan = plan_residency(moe_request(64 + 190 + 256 + 96));
  for (std::size_t i = 0; i < plan.tiers.size(); ++i)
    if (i % 2 == 0) {
      EXPECT_EQ(plan.tiers[i], kDevice) << i;
    }
  EXPECT_GE(count_of(plan, kDevice), 9 + 2);
  EXPECT_GT(count_of(plan, Tier::host) + count_of(plan, kStreamed), 0);
}

TEST(Residency, OnlyChosenExpertsMove) {
  ResidencyRequest request = moe_request(64 + 190 + 200);
  ResidencyPlan plan = plan_residency(request);
  const auto experts = [](const ResidencyPlan& p) {
    return static_cast<double>(p.bytes_of(Tier::host) + p.bytes_of(kStreamed));
  };
  EXPECT_DOUBLE_EQ(plan.links[1].bytes, experts(plan) / 16);
  // Four sequences choose 1 - (15/16)^4 of them, which is less than a quarter.
  request.sequences = 4;
  plan = plan_residency(request);
  EXPECT_DOUBLE_EQ(plan.links[1].bytes, experts(plan) * (1 - std::pow(15.0 / 16, 4)));
  EXPECT_DOUBLE_EQ(plan.predicted->token_seconds, plan.predicted->sweep_seconds / 4);
}

TEST(Residency, ExpertsOfTheFirstLayersGoToTheCpu) {
  ResidencyRequest request = moe_request(600);
  force_experts_to_cpu(request.units, 3);
  const ResidencyPlan plan = plan_residency(request);
  for (std::size_t layer = 0; layer < 8; ++layer) {
    EXPECT_EQ(plan.tiers[2 * layer + 1] == Tier::cpu, layer < 3) << layer;
    EXPECT_NE(plan.tiers[2 * layer], Tier::cpu) << layer;
  }
  EXPECT_EQ(plan.need.kv, 32 * kMiB);  // attention stayed on the device
  EXPECT_THAT(plan.manual_flags, HasSubstr("-ot 'blk\\.(0|1|2)\\..*_exps=CPU'"));
}

}  // namespace
}  // namespace strata
