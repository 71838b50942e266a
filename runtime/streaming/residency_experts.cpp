#include "runtime/streaming/residency_experts.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <set>
#include <utility>

#include "runtime/core/error.h"
#include "runtime/core/memory_text.h"

namespace strata {
namespace {

constexpr double kCpuMustGain = 0.05;

// Different experts that so many tokens choose, as a share of a layer's: independent choices.
double union_share(double token_share, std::int32_t tokens) {
  return 1 - std::pow(1 - token_share, tokens);
}

/// Plans of what is beside the experts, and slots for these in what is left.
class ExpertPlanner {
 public:
  explicit ExpertPlanner(const ResidencyRequest& request) : request_(request) {
    const std::uint64_t budget = std::min(request.budgets.pinned, request.budgets.host);
    const std::uint64_t pinned = request.experts.pinned(0);
    if (!request.unified && pinned > budget)
      throw Error(ErrorCode::does_not_fit, request.device,
                  fmt::format("needs {} of pinned memory to bring experts; has {}",
                              bytes_text(pinned), bytes_text(budget)),
                  "more memory for the host (--host-mem)");
  }

  // What every token uses stays if that leaves room for a single expert, better for a token's; and
  // where it streams a token's experts have room, if that is possible.
  ResidencyPlan plan() const {
    const std::int64_t token = std::max<std::int64_t>(request_.experts.token, 1);
    const ResidencyRequest roomy = beside(token);
    const ResidencyRequest narrow = beside(1);
    std::optional<ResidencyPlan> best = plan_units(roomy);
    if (best && !best->streams) return with_slots(std::move(*best), token);
    ResidencyPlan least = require_units_plan(narrow);
    if (!best || !least.streams) return with_slots(std::move(least), 1);
    return with_slots(std::move(*best), token);
  }

 private:
  // The request for the rest, with room kept for so many experts.
  ResidencyRequest beside(std::int64_t slots) const {
    ResidencyRequest rest = request_;
    const std::uint64_t room = request_.experts.bytes(slots);
    rest.compute_bytes = [room, compute = request_.compute_bytes](const StepShape& shape) {
      return room + compute(shape);
    };
    rest.cpu_may_compute = false;
    if (request_.unified) return rest;
    const std::uint64_t pinned = request_.experts.pinned(0);
    rest.budgets.pinned -= pinned;
    rest.budgets.host -= pinned;
    return rest;
  }

  ResidencyPlan with_slots(ResidencyPlan plan, std::int64_t room_for) const {
    const ExpertSlots& experts = request_.experts;
    const std::uint64_t room = experts.bytes(room_for);
    const std::uint64_t beside = request_.budgets.device - plan.need.total();
    plan.expert_slots = std::max(room_for, experts.most(room + beside));
    plan.coming = {experts.all, experts.token, experts.file_bytes};
    plan.need.compute -= room;
    plan.need.experts = experts.bytes(plan.expert_slots);
    keep_on_host(plan);
    plan.streams = true;
    estimate(plan);
    return plan;
  }

  // The budget of pinned memory that is left is for experts, where the file is what they wait for.
  void keep_on_host(ResidencyPlan& plan) const {
    const ExpertSlots& experts = request_.experts;
    std::uint64_t pinned = experts.pinned(0);
    const LinkSpeeds& links = request_.links;
    const bool slow_disk = links.disk > 0 && links.disk < links.upload;
    if (!request_.unified && slow_disk && plan.expert_slots < experts.all) {
      const std::uint64_t most = std::min(left(request_.budgets.pinned, plan.pinned_bytes),
                                          left(request_.budgets.host, plan.host_bytes));
      plan.experts_kept = std::min(experts.most_kept(most), experts.all);
      // The next token's would have pushed them out.
      if (plan.experts_kept < 2 * experts.token) plan.experts_kept = 0;
      if (plan.experts_kept > 0) pinned = experts.pinned(plan.experts_kept);
    }
    plan.pinned_bytes += pinned;
    if (!request_.unified) plan.host_bytes += pinned;
  }

  static std::uint64_t left(std::uint64_t budget, std::uint64_t taken) {
    return budget - std::min(budget, taken);
  }

  // In slots are the experts that were used last, in pinned memory those that were brought last,
  // among them at the worst all that have slots and, when a layer's turn comes, what the others of
  // this token have just brought.
  double kept_rate(const ResidencyPlan& plan) const {
    const ExpertSlots& experts = request_.experts;
    if (plan.experts_kept >= experts.all) return 1;
    const std::int64_t others = plan.experts_kept - experts.token - plan.expert_slots;
    return others <= 0
               ? 0
               : static_cast<double>(others) / static_cast<double>(experts.all - plan.expert_slots);
  }

  // What is not measured takes no time.
  static double seconds(double amount, double speed) { return speed > 0 ? amount / speed : 0; }

  ExpertEstimate estimate_of(const ResidencyPlan& plan, std::int32_t tokens) const {
    const ExpertSlots& experts = request_.experts;
    const LinkSpeeds& links = request_.links;
    const double all = static_cast<double>(experts.all);
    const double share = union_share(static_cast<double>(experts.token) / all, tokens);
    ExpertEstimate estimate;
    estimate.launches = static_cast<double>(experts.launches);
    estimate.wanted = share * all / static_cast<double>(experts.layers);
    // An expert comes in parts, gate with up and down: each launch brings its own.
    const double parts = all * estimate.launches / static_cast<double>(experts.layers);
    const double bytes = static_cast<double>(experts.file_bytes) / parts;
    const double packed = static_cast<double>(experts.device_bytes) / parts;
    const bool packs = experts.device_bytes != experts.file_bytes || request_.unified;
    estimate.read_seconds = seconds(bytes, links.disk);
    estimate.copy_seconds = packs ? seconds(bytes + packed, links.device_read) : 0;
    if (!request_.unified)
      estimate.copy_seconds += seconds(bytes, links.upload) + request_.copy_latency;
    estimate.hit_rate = experts.hit_rate(plan.expert_slots);
    estimate.kept_rate = kept_rate(plan);
    estimate.rest_seconds =
        std::max(seconds(share * static_cast<double>(experts.device_bytes), links.device_read),
                 seconds(experts.flops_per_token * tokens, links.device_flops)) +
        estimate.launches * request_.op_latency;
    return estimate;
  }

  void estimate(ResidencyPlan& plan) const {
    const bool measured = request_.links.disk > 0 && request_.links.device_read > 0 &&
                          (request_.unified || request_.links.upload > 0);
    if (!plan.predicted || !measured) {
      plan.predicted.reset();
      plan.links.clear();
      plan.binding_link = {};
      return;
    }
    PredictedSweep& predicted = *plan.predicted;
    ExpertEstimate step = estimate_of(plan, plan.shape.sequences);
    add_links(plan, step);
    step.rest_seconds += predicted.sweep_seconds;
    const double waits = step.step_seconds() - step.rest_seconds;
    predicted.first_sweep_seconds += step.longest_step_seconds() - predicted.sweep_seconds;
    predicted.sweep_seconds = step.step_seconds();
    predicted.token_seconds = predicted.sweep_seconds / plan.shape.sequences;
    predicted.compute_stall_seconds += waits;
    if (predicted.prompt_sweep_seconds)
      *predicted.prompt_sweep_seconds += estimate_of(plan, plan.shape.max_tokens).step_seconds();
    plan.experts = step;
  }

  // What the experts add to the links of a decoding step.
  void add_links(ResidencyPlan& plan, const ExpertEstimate& step) const {
    const double all = static_cast<double>(request_.experts.all);
    const double wanted = step.wanted * static_cast<double>(request_.experts.layers) / all;
    const double missing =
        wanted * (1 - step.hit_rate) * static_cast<double>(request_.experts.file_bytes);
    for (LinkUse& link : plan.links) {
      double bytes = 0;
      if (link.name == "disk") bytes = missing * (1 - step.kept_rate);
      if (link.name == "upload" && !request_.unified) bytes = missing;
      if (link.name == "device")
        bytes = wanted * static_cast<double>(request_.experts.device_bytes);
      link.bytes += bytes;
      if (link.limit > 0) link.busy_seconds = link.busy_seconds.value_or(0) + bytes / link.limit;
    }
    const auto busier = [](const LinkUse& a, const LinkUse& b) {
      return a.busy_seconds.value_or(0) < b.busy_seconds.value_or(0);
    };
    if (const auto most = std::ranges::max_element(plan.links, busier); most != plan.links.end())
      plan.binding_link = most->name;
  }

  const ResidencyRequest& request_;
};

/// A plan, and seconds of a typical request; infinite where speeds are not measured.
struct Costed {
  ResidencyPlan plan;
  double seconds = std::numeric_limits<double>::infinity();
};

double request_seconds(const ResidencyRequest& request, const ResidencyPlan& plan) {
  if (!plan.predicted) return std::numeric_limits<double>::infinity();
  const double step = plan.predicted->sweep_seconds;
  if (request.goal == Goal::throughput) return plan.predicted->token_seconds;
  const double chunks = std::ceil(static_cast<double>(request.typical_prompt) /
                                  static_cast<double>(plan.shape.max_tokens));
  return chunks * plan.predicted->prompt_sweep_seconds.value_or(step) +
         static_cast<double>(request.typical_answer) * step;
}

/// Gives the first layers to the CPU, with their experts, where that is faster: what the CPU
/// computes need not come.
class CpuShare {
 public:
  explicit CpuShare(const ResidencyRequest& request) : request_(request) {
    if (!request.cpu_may_compute || request.unified || !request.experts_without) return;
    for (const PlanUnit& unit : request.units)
      if (unit.part == UnitPart::shared && unit.first() && !unit.forced)
        layers_.push_back(unit.layer);
  }

  ResidencyPlan plan() const {
    std::optional<Costed> device;
    std::optional<Error> why;
    try {
      ResidencyPlan plan = ExpertPlanner(request_).plan();
      const double seconds = request_seconds(request_, plan);
      device = Costed{std::move(plan), seconds};
    } catch (const Error& error) {
      if (error.code() != ErrorCode::does_not_fit || layers_.empty()) throw;
      why = error;
    }
    // What is not measured is not compared.
    if (device && !std::isfinite(device->seconds)) return std::move(device->plan);
    std::optional<Costed> cpu;
    for (const std::size_t count : shares()) {
      std::optional<Costed> other = with_cpu(count);
      if (other && (!cpu || other->seconds < cpu->seconds)) cpu = std::move(other);
      if (cpu && !device && !std::isfinite(cpu->seconds)) break;
    }
    if (!device && !cpu) throw *why;
    if (cpu && (!device || cpu->seconds < (1 - kCpuMustGain) * device->seconds))
      return std::move(cpu->plan);
    return std::move(device->plan);
  }

 private:
  // Numbers of layers to try: from few to all.
  std::set<std::size_t> shares() const {
    std::set<std::size_t> counts;
    const std::size_t all = layers_.size();
    for (const std::size_t eighths : {1, 2, 3, 4, 5, 6, 7, 8}) counts.insert(all * eighths / 8);
    if (all > 0) counts.insert({1, all - 1});
    counts.erase(0);
    return counts;
  }

  std::optional<Costed> with_cpu(std::size_t count) const {
    const std::vector<std::int32_t> layers(layers_.begin(),
                                           layers_.begin() + static_cast<std::ptrdiff_t>(count));
    ResidencyRequest request = request_;
    request.experts = request_.experts_without(layers);
    request.cpu_may_compute = false;
    for (PlanUnit& unit : request.units)
      if (unit.part == UnitPart::shared && std::ranges::binary_search(layers, unit.layer))
        give_to_cpu(unit);
    try {
      Costed found{
          request.experts.all > 0 ? ExpertPlanner(request).plan() : require_units_plan(request), 0};
      if (found.plan.host_bytes > request_.budgets.host) return std::nullopt;
      found.seconds = request_seconds(request, found.plan);
      found.plan.notes.push_back(
          fmt::format("the CPU computes {} layer{} with all of {} experts: sooner than these would "
                      "come to {}",
                      count, count == 1 ? "" : "s", count == 1 ? "its" : "their", request_.device));
      return found;
    } catch (const Error& error) {
      if (error.code() != ErrorCode::does_not_fit) throw;
      return std::nullopt;
    }
  }

  // The first of a layer's units stands for all of it, the others are kept: plans are by unit.
  void give_to_cpu(PlanUnit& unit) const {
    if (unit.first()) {
      unit = request_.whole_layers[static_cast<std::size_t>(unit.layer)];
    } else {
      unit.file_bytes = unit.device_bytes = unit.cpu_bytes = 0;
      unit.flops_per_token = 0;
      unit.ops.clear();
    }
    unit.forced = Tier::cpu;
  }

  const ResidencyRequest& request_;
  std::vector<std::int32_t> layers_;  // that may be the CPU's, rising
};

}  // namespace

// Of the experts that are missing the first waits for its read and its copy; the reads of the
// others go on beside the copies, so that the slower of both is what they take.
double ExpertEstimate::step_seconds(double hits, double kept) const {
  const double missing = wanted * (1 - hits);
  const double read = read_seconds * (1 - kept);
  const double launch = missing * std::max(read, copy_seconds) +
                        std::min(missing, 1.0) * std::min(read, copy_seconds);
  return rest_seconds + launches * launch;
}

ResidencyPlan plan_with_experts(const ResidencyRequest& request) {
  return CpuShare(request).plan();
}

}  // namespace strata
