#include "runtime/streaming/residency_refresh.h"

#include <gtest/gtest.h>

#include "tests/streaming/residency_cases.h"

namespace strata {
namespace {

using tests::count_of;
using tests::dense_request;
using tests::kMiB;
using tests::pc_links;

// What the plan takes on a machine with these links.
SweepFigures figures_on(ResidencyRequest request, const LinkSpeeds& links,
                        const ResidencyPlan& plan) {
  request.links = links;
  // The only plan left is this one.
  for (std::size_t i = 0; i < request.units.size(); ++i) request.units[i].forced = plan.tiers[i];
  request.blocks = {plan.block};
  const ResidencyPlan there = plan_residency(request);
  EXPECT_EQ(there.tiers, plan.tiers);
  SweepFigures figures;
  figures.seconds = there.predicted->sweep_seconds;
  figures.disk_bytes = static_cast<double>(plan.bytes_of(Tier::streamed));
  figures.reader_seconds = request.reader_threads * figures.disk_bytes / links.disk;
  return figures;
}

ResidencyRequest request_with(std::uint64_t pinned_mib) {
  ResidencyRequest request = dense_request(8, 100, 50, 500);
  request.budgets.pinned = pinned_mib * kMiB;
  request.context_asked = request.max_tokens_asked = true;
  request.links = pc_links();
  return request;
}

TEST(ResidencyRefresh, APredictionThatHoldsIsLeftAlone) {
  const ResidencyRequest request = request_with(200);
  const ResidencyPlan plan = plan_residency(request);
  SweepFigures figures = figures_on(request, request.links, plan);
  const double predicted = plan.predicted->sweep_seconds;
  for (const double share : {1.0, 0.87, 1.14}) {
    figures.seconds = share * predicted;
    EXPECT_FALSE(refresh_plan(request, plan, figures).has_value()) << share;
  }
  figures.seconds = 1.16 * predicted;
  EXPECT_TRUE(refresh_plan(request, plan, figures).has_value());
  figures.seconds = 0.84 * predicted;
  EXPECT_TRUE(refresh_plan(request, plan, figures).has_value());
  ResidencyPlan unknown = plan;
  unknown.predicted.reset();
  EXPECT_FALSE(refresh_plan(request, unknown, figures).has_value());
}

TEST(ResidencyRefresh, ASlowerLinkIsFound) {
  for (const auto link : {&LinkSpeeds::disk, &LinkSpeeds::upload, &LinkSpeeds::device_read}) {
    ResidencyRequest request = request_with(200);
    request.unified = link == &LinkSpeeds::device_read;  // else it could be the upload as well
    const ResidencyPlan plan = plan_residency(request);
    ASSERT_GT(count_of(plan, Tier::streamed), 0);
    LinkSpeeds links = request.links;
    links.*link /= link == &LinkSpeeds::device_read ? 2000 : 20;
    const SweepFigures figures = figures_on(request, links, plan);
    const auto refreshed = refresh_plan(request, plan, figures);
    ASSERT_TRUE(refreshed.has_value());
    EXPECT_NEAR(refreshed->predicted_seconds, figures.seconds, 0.15 * figures.seconds);
    EXPECT_NEAR(refreshed->links.*link, links.*link, 0.3 * links.*link);
    for (const auto other : {&LinkSpeeds::disk, &LinkSpeeds::upload, &LinkSpeeds::device_read})
      if (other != link) {
        EXPECT_EQ(refreshed->links.*other, links.*other);
      }
  }
}

// The disk was read out of the page cache when it was measured, and is slow in earnest.
TEST(ResidencyRefresh, SaysWhenAnotherPlanIsBetter) {
  ResidencyRequest request = request_with(2000);
  request.links.disk = 60e9;
  const ResidencyPlan plan = plan_residency(request);
  EXPECT_EQ(count_of(plan, Tier::host), 0) << "the disk keeps up with the upload";
  LinkSpeeds links = request.links;
  links.disk = 2e9;
  const auto refreshed = refresh_plan(request, plan, figures_on(request, links, plan));
  ASSERT_TRUE(refreshed.has_value());
  EXPECT_TRUE(refreshed->better);
  EXPECT_EQ(count_of(refreshed->plan, Tier::streamed), 0);
  // With nothing but the disk to stream from there is no better one.
  request.budgets.pinned = 60 * kMiB;
  request.blocks = {plan.block};
  const ResidencyPlan small = plan_residency(request);
  const auto stuck = refresh_plan(request, small, figures_on(request, links, small));
  ASSERT_TRUE(stuck.has_value());
  EXPECT_FALSE(stuck->better);
}

}  // namespace
}  // namespace strata
