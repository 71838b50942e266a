// Plans that place each op's matrices, in pieces where they are large, instead of whole layers.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <set>

#include "runtime/streaming/residency_pack.h"
#include "tests/streaming/residency_cases.h"

namespace strata {
namespace {

using tests::empty_request;
using tests::kMiB;
using tests::pc_links;

// Of a layer: attention, its output, gate with up, down; KiB.
constexpr std::uint64_t kOps[] = {9 * 256, 9 * 128, 9 * 384, 9 * 192};
constexpr int kLayers = 28;
constexpr std::uint64_t kOutput = 112 * kMiB;
constexpr std::uint64_t kPiece = 4 * kMiB;

PlanUnit part_of(std::int32_t layer, UnitPart part, std::uint64_t bytes) {
  PlanUnit unit = tests::unit_of(layer, part, bytes);
  unit.ops = {bytes};
  return unit;
}

// The shape of a small model with a large vocabulary; `whole`: by layers, as one unit each.
ResidencyRequest request_of(std::uint64_t device_mib, bool whole = false) {
  ResidencyRequest request = empty_request(device_mib);
  request.context = 64;
  request.max_tokens = 16;
  request.context_asked = request.max_tokens_asked = true;
  request.blocks.push_back(tests::block_of(2 * kMiB));
  for (std::int32_t layer = 0; layer < kLayers; ++layer) {
    PlanUnit all;
    for (std::int32_t op = 0; op < 4; ++op) {
      PlanUnit unit = part_of(layer, UnitPart::layer, kOps[op] * 1024);
      unit.op = op;
      unit.small_bytes = op == 0 ? 4096 : 0;
      if (!whole) request.units.push_back(unit);
      all.file_bytes += unit.file_bytes;
      all.ops.push_back(unit.file_bytes);
    }
    all.layer = layer;
    all.device_bytes = all.cpu_bytes = all.file_bytes;
    all.flops_per_token = 4 * static_cast<double>(all.file_bytes);
    all.small_bytes = 4096;
    if (whole) request.units.push_back(all);
  }
  const auto pieces = static_cast<std::int32_t>(whole ? 1 : kOutput / kPiece);
  for (std::int32_t piece = 0; piece < pieces; ++piece) {
    PlanUnit unit =
        part_of(kLayers, UnitPart::output, kOutput / static_cast<std::uint64_t>(pieces));
    unit.op = whole ? -1 : 0;
    unit.piece = piece;
    unit.pieces = pieces;
    request.units.push_back(unit);
  }
  // A device that reads ten times as fast as weights come to it.
  request.links = {};
  request.links.disk = request.links.host_copy = request.links.cpu_read = 1e15;
  request.links.device_flops = request.links.cpu_flops = 1e15;
  request.links.upload = 2147483648.0;
  request.links.device_read = 10 * request.links.upload;
  return request;
}

constexpr std::uint64_t kWholeMib = 28 * 81 * 128 / 1024 + 112;

double slowest_link(const ResidencyPlan& plan) {
  double most = 0;
  for (const LinkUse& link : plan.links) most = std::max(most, link.bytes / link.limit);
  return most;
}

TEST(ResidencyParts, TheLinkThatBindsIsHardlyIdle) {
  for (const std::uint64_t percent : {20, 25, 33, 40, 50, 60, 67, 75, 80}) {
    const ResidencyPlan plan = plan_residency(request_of(kWholeMib * percent / 100));
    EXPECT_EQ(plan.binding_link, "upload");
    EXPECT_LE(plan.predicted->sweep_seconds, 1.05 * slowest_link(plan)) << percent;
    const ResidencyPlan layers = plan_residency(request_of(kWholeMib * percent / 100, true));
    EXPECT_LE(plan.predicted->sweep_seconds, 1.02 * layers.predicted->sweep_seconds) << percent;
  }
}

TEST(ResidencyParts, HalfOfTheModelResidentIsNearlyTwiceAsFast) {
  // What activations, cache and slots take is beside it.
  const ResidencyPlan half = plan_residency(request_of(kWholeMib / 2 + 20));
  const ResidencyPlan nothing = plan_residency(request_of(20));
  EXPECT_NEAR(static_cast<double>(half.need.resident), kWholeMib * kMiB / 2.0, kWholeMib * 3e4);
  EXPECT_GE(nothing.predicted->sweep_seconds, 1.9 * half.predicted->sweep_seconds);
}

TEST(ResidencyParts, WhatALayerHasOnceIsCountedOnce) {
  ResidencyRequest request = request_of(kWholeMib / 2);
  const ResidencyPlan parts = plan_residency(request);
  const ResidencyPlan layers = plan_residency(request_of(kWholeMib / 2, true));
  EXPECT_EQ(parts.need.kv, layers.need.kv);
  EXPECT_EQ(parts.need.kv, kLayers * request.kv_bytes(parts.shape));
  EXPECT_EQ(parts.need.small, layers.need.small);
  EXPECT_EQ(parts.need.small, kLayers * 4096u);
  EXPECT_LE(parts.need.total(), request.budgets.device);
}

// The CPU computes layers, not parts of them.
TEST(ResidencyParts, TheCpuTakesWholeLayers) {
  ResidencyRequest request = request_of(kWholeMib / 3);
  request.links = pc_links();
  request.links.upload = 10e9;
  request.cpu_may_compute = true;
  const ResidencyPlan plan = plan_residency(request);
  std::map<std::int32_t, std::set<bool>> on_cpu;
  for (std::size_t i = 0; i < plan.tiers.size(); ++i)
    on_cpu[request.units[i].layer].insert(plan.tiers[i] == Tier::cpu);
  int layers = 0;
  for (const auto& [layer, where] : on_cpu) {
    EXPECT_EQ(where.size(), 1u) << layer;
    layers += *where.begin() ? 1 : 0;
  }
  EXPECT_GT(layers, 2);
  EXPECT_LT(layers, kLayers);
  // About as fast as by layers: the formula of both is the same.
  ResidencyRequest whole = request_of(kWholeMib / 3, true);
  whole.links = request.links;
  whole.cpu_may_compute = true;
  EXPECT_LE(plan.predicted->sweep_seconds, 1.05 * plan_residency(whole).predicted->sweep_seconds);
}

TEST(ResidencyParts, GpuLayersAreCountedByLayer) {
  ResidencyRequest request = request_of(2 * kWholeMib);
  force_gpu_layers(request.units, 3);
  for (const PlanUnit& unit : request.units)
    EXPECT_EQ(unit.forced, unit.layer >= kLayers - 2 ? Tier::device : Tier::cpu);
  EXPECT_THAT(plan_residency(request).manual_flags, testing::HasSubstr("-ngl 3 "));
}

TEST(ResidencyParts, MoreMemoryIsHardlyWorse) {
  double before = 1e9;
  for (std::uint64_t mib = 20; mib < kWholeMib + 40; mib += 7) {
    const double now = plan_residency(request_of(mib)).predicted->sweep_seconds;
    EXPECT_LE(now, 1.01 * before) << mib;
    before = std::min(before, now);
  }
}

// The same where kernels want units packed, and may have them as the file does at `speed`.
ResidencyRequest with_layouts(ResidencyRequest request, double speed, bool packed = true) {
  std::vector<BlockChoice> blocks;
  for (BlockChoice block : request.blocks) {
    block.packed = 65536;  // so little that its memory does not matter
    if (packed) blocks.push_back(block);
    block.packed = 0;
    block.file_layout = true;
    blocks.push_back(block);
  }
  request.blocks = std::move(blocks);
  request.links.file_layout_read = speed;
  return request;
}

// Near the balance of copying and computing packing would make computing the longer of both.
TEST(ResidencyParts, NothingIsPackedWhereThatPays) {
  for (const std::uint64_t percent : {80, 83, 85, 86}) {
    const ResidencyRequest request = request_of(kWholeMib * percent / 100);
    const double read = request.links.device_read;
    const ResidencyPlan plan = plan_residency(with_layouts(request, read));
    EXPECT_TRUE(plan.block.file_layout) << percent;
    EXPECT_EQ(plan.need.packed, 0u);
    EXPECT_LE(plan.predicted->sweep_seconds, 1.05 * slowest_link(plan)) << percent;
    const ResidencyPlan packed = plan_residency(with_layouts(request, read / 2));
    EXPECT_FALSE(packed.block.file_layout) << percent;
    EXPECT_GT(packed.need.packed, 0u);
    EXPECT_GT(packed.predicted->sweep_seconds, plan.predicted->sweep_seconds);
  }
}

// The link binds anyway: kernels for another layout would gain nothing.
TEST(ResidencyParts, IsPackedWhereThatCostsNothing) {
  const ResidencyRequest request = request_of(kWholeMib / 4);
  EXPECT_FALSE(plan_residency(with_layouts(request, request.links.device_read)).block.file_layout);
}

// What stays of a layer that streams in part is computed by the same program.
TEST(ResidencyParts, ALayerHasOneLayout) {
  const ResidencyRequest request = request_of(kWholeMib / 2);
  const double half = request.links.device_read / 2;
  const ResidencyPlan plan = plan_residency(with_layouts(request, half, false));
  EXPECT_NEAR(*plan.links[2].busy_seconds, plan.links[2].bytes / half,
              0.05 * plan.links[2].bytes / half);
}

using Sizes = std::vector<std::uint64_t>;

// Up to every place the share that is kept is that of all but for about a unit.
TEST(SpreadBytes, KeepsTheSameShareOfEveryStretch) {
  Sizes sizes;
  for (int layer = 0; layer < 40; ++layer)
    for (const std::uint64_t op : kOps) sizes.push_back(op);
  std::uint64_t total = 0;
  for (const std::uint64_t size : sizes) total += size;
  for (std::uint64_t room = 0; room <= total + 5000; room += total / 50) {
    const std::vector<bool> kept = spread_bytes(sizes, room);
    double sum = 0;
    double before = 0;
    double all = 0;
    for (std::size_t i = 0; i < sizes.size(); ++i) all += kept[i] ? double(sizes[i]) : 0;
    EXPECT_LE(all, double(room));
    EXPECT_GE(all, double(std::min(room, total)) - 9 * 384 - 9 * 128) << room;
    for (std::size_t i = 0; i < sizes.size(); ++i) {
      sum += kept[i] ? double(sizes[i]) : 0;
      before += double(sizes[i]);
      EXPECT_NEAR(sum, before * all / double(total), 1.5 * 9 * 384) << room << ' ' << i;
    }
  }
}

// Where units are large beside the room the even ones may leave much of it unused.
TEST(SpreadBytes, FillsTheRoomWhereUnitsAreLarge) {
  const Sizes sizes = {10, 10, 10, 10, 61};
  const std::vector<bool> kept = spread_bytes(sizes, 61);
  EXPECT_TRUE(kept[4]);
  EXPECT_TRUE(spread_bytes(Sizes{}, 4).empty());
  EXPECT_EQ(spread_bytes(Sizes{7}, 6), std::vector<bool>{false});
}

}  // namespace
}  // namespace strata
