#include "runtime/streaming/residency_refresh.h"

#include <algorithm>
#include <cmath>

#include "runtime/streaming/residency_search.h"

namespace strata {
namespace {

constexpr double kWrong = 0.15;  // share of the predicted time
constexpr double kWorthIt = 0.05;
constexpr int kRounds = 6;

bool differs(double now, double before) { return std::abs(now - before) > kWrong * before; }

// Reads wait for nothing but the disk: what the threads were given while they were in them.
double disk_speed(const ResidencyRequest& request, const ResidencyPlan& plan,
                  const SweepFigures& measured) {
  if (measured.disk_bytes <= 0 || measured.reader_seconds <= 0) return request.links.disk;
  const double threads = std::max(std::min(request.reader_threads, plan.ring_slots), 1);
  const double speed = measured.disk_bytes * threads / measured.reader_seconds;
  return differs(speed, request.links.disk) ? speed : request.links.disk;
}

// The busiest link but the disk.
std::string_view busiest(const ResidencyPlan& plan) {
  std::string_view name = "device";
  double most = 0;
  for (const LinkUse& link : plan.links) {
    if (link.name == "disk" || link.busy_seconds.value_or(0) <= most) continue;
    most = *link.busy_seconds;
    name = link.name;
  }
  return name;
}

// A device that is slower, or faster, than was measured is so in all that it does.
void scale(LinkSpeeds& links, std::string_view name, double factor) {
  if (name == "upload") {
    links.upload *= factor;
  } else if (name == "cpu") {
    links.cpu_read *= factor;
  } else {
    for (double* speed : {&links.device_read, &links.file_layout_read, &links.pack})
      *speed *= factor;
  }
}

}  // namespace

std::optional<RefreshedPlan> refresh_plan(const ResidencyRequest& request,
                                          const ResidencyPlan& plan, const SweepFigures& measured) {
  if (!plan.predicted || plan.expert_slots > 0 || measured.seconds <= 0 ||
      !differs(measured.seconds, plan.predicted->sweep_seconds))
    return std::nullopt;
  ResidencyRequest now = request;
  now.links.disk = disk_speed(request, plan, measured);
  RefreshedPlan refreshed;
  // Another link may bind when one has become faster: a few rounds.
  for (int round = 0; round < kRounds; ++round) {
    ResidencyPlan as_it_is = plan;
    cost_of(now, as_it_is);
    if (!as_it_is.predicted) return std::nullopt;
    refreshed.predicted_seconds = as_it_is.predicted->sweep_seconds;
    if (!differs(measured.seconds, refreshed.predicted_seconds)) break;
    scale(now.links, busiest(as_it_is), refreshed.predicted_seconds / measured.seconds);
  }
  refreshed.links = now.links;
  refreshed.plan = plan_residency(now);
  refreshed.better = refreshed.plan.predicted && refreshed.plan.predicted->sweep_seconds <
                                                     (1 - kWorthIt) * refreshed.predicted_seconds;
  return refreshed;
}

}  // namespace strata
