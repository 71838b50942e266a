#include "runtime/streaming/residency.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "runtime/core/error.h"
#include "runtime/streaming/residency_experts.h"
#include "runtime/streaming/residency_search.h"
#include "runtime/streaming/residency_text.h"

namespace strata {
namespace {

// A context that nobody asked for: it is cut to no less so that all weights stay resident, and to
// this when they do not.
constexpr std::int64_t kResidentContext = 2048;
constexpr std::int64_t kStreamingContext = 4096;
constexpr std::int64_t kLeastContext = 512;  // before prompts are cut into less than kLeastChunk
constexpr std::int32_t kLeastChunk = 128;
constexpr double kBudgetKept = 0.93;

void check(const ResidencyRequest& request) {
  const auto refuse_request = [](const char* detail) {
    throw Error(ErrorCode::bad_request, "residency plan", detail);
  };
  if (request.units.empty() || request.blocks.empty()) refuse_request("has no units or no blocks");
  if (!request.kv_bytes || !request.compute_bytes) refuse_request("has no sizes of the step");
  const ExpertSlots& experts = request.experts;
  if (experts.all > 0 && (!experts.bytes || !experts.most || !experts.pinned ||
                          !experts.most_kept || !experts.hit_rate || experts.layers < 1))
    refuse_request("has no sizes of experts");
  if (request.context < 1 || request.sequences < 1 || request.max_tokens < 1 ||
      request.context_step < 1 || request.typical_prompt < 0 || request.typical_answer < 1)
    refuse_request("has a context, step, or number of sequences below 1");
  std::int32_t layer = 0;
  for (const PlanUnit& unit : request.units) {
    const bool sane = unit.layer >= layer && unit.used_per_token > 0 && unit.used_per_token <= 1 &&
                      unit.flops_per_token >= 0;
    if (!sane) refuse_request("has units out of order or with shares that cannot be");
    layer = unit.layer;
  }
  const LinkSpeeds& links = request.links;
  for (const double speed : {links.disk, links.host_copy, links.upload, links.device_read,
                             links.cpu_read, links.device_flops, links.cpu_flops,
                             links.file_layout_read, links.file_layout_flops, links.pack})
    if (!std::isfinite(speed) || speed < 0) refuse_request("has a speed that cannot be");
}

class Planner {
 public:
  explicit Planner(const ResidencyRequest& request) : request_(request) {
    shape_ = {request.context, std::max(request.max_tokens, request.sequences), request.sequences};
    // With experts that come it streams whatever else stays.
    if (request.experts.all > 0 && !request.context_asked)
      shape_.context = std::min(shape_.context, kStreamingContext);
  }

  std::optional<ResidencyPlan> find() {
    std::optional<CostedPlan> found = resident();
    if (!found) found = streamed();
    if (!found) return std::nullopt;
    if (found->plan.predicted && found->plan.streams) try_less(*found);
    describe_plan(request_, found->plan);
    return std::move(found->plan);
  }

  ResidencyPlan plan() {
    std::optional<ResidencyPlan> found = find();
    if (!found) refuse(request_, smallest());
    return std::move(*found);
  }

 private:
  // The greatest multiple of the step in [least, most] that `fits`, which is monotone; 0: none.
  template <typename Fits>
  std::int64_t largest_context(std::int64_t least, std::int64_t most, Fits&& fits) const {
    if (fits(most)) return most;
    const std::int64_t step = request_.context_step;
    std::int64_t low = (std::min(least, most) + step - 1) / step;
    if (low * step > most || !fits(low * step)) return 0;
    for (std::int64_t high = most / step; low < high;) {
      const std::int64_t middle = (low + high + 1) / 2;
      if (fits(middle * step))
        low = middle;
      else
        high = middle - 1;
    }
    return low * step;
  }

  // What was found for less memory fits as well, and is sometimes better: layers that fill memory
  // best need not lie where the links have time for the others.
  void try_less(CostedPlan& found) const {
    for (const double share : {0.97, 0.92, 0.85, 0.7, 0.5}) {
      for (const bool device : {true, false}) {
        ResidencyRequest less = request_;
        const auto cut = [share](std::uint64_t& budget) {
          budget = static_cast<std::uint64_t>(share * static_cast<double>(budget));
        };
        if (device) cut(less.budgets.device);
        if (!device) cut(less.budgets.pinned);
        if (!device) cut(less.budgets.host);
        std::optional<CostedPlan> other = Planner(less).streamed();
        if (other && other->plan.predicted && other->cost < found.cost) found = std::move(*other);
      }
    }
  }

  std::int32_t least_chunk() const {
    return std::max(std::min(kLeastChunk, request_.max_tokens), request_.sequences);
  }

  // All on the device, if need be with a smaller default context or prompt chunk.
  std::optional<CostedPlan> resident() const {
    const PlacementChoice choice{request_.blocks.back(), 2, 0};
    for (StepShape shape = shape_;;
         shape.max_tokens = std::max(shape.max_tokens / 2, least_chunk())) {
      const auto fits = [&](std::int64_t context) {
        StepShape smaller = shape;
        smaller.context = context;
        const PlacedUnits placed = place_units(request_, smaller, choice);
        return !placed.lack && !placed.plan.streams;
      };
      const std::int64_t least = request_.context_asked ? shape.context : kResidentContext;
      StepShape found = shape;
      found.context = largest_context(least, shape.context, fits);
      if (found.context > 0) return plan_with(request_, found, choice);
      if (shape.max_tokens <= least_chunk()) return std::nullopt;
    }
  }

  bool least_fits(const StepShape& shape) const {
    const PlacementChoice least{request_.blocks.back(), 2, 0};
    if (!place_units(request_, shape, least).lack) return true;
    if (!request_.context_asked) return false;
    for (int cpu = layers_for_cpu(request_); cpu > 0; --cpu)
      if (!place_units(request_, shape, {request_.blocks.back(), 2, cpu}).lack) return true;
    return false;
  }

  // Shrinks the chunk to at least `least`; whether it fits then.
  bool shrink_chunk(StepShape& shape, std::int32_t least) const {
    while (!least_fits(shape)) {
      if (shape.max_tokens <= least) return false;
      shape.max_tokens = std::max(shape.max_tokens / 2, least);
    }
    return true;
  }

  bool shrink_context(StepShape& shape, std::int64_t least) const {
    if (request_.context_asked) return least_fits(shape);
    const std::int64_t found = largest_context(least, shape.context, [&](std::int64_t context) {
      StepShape smaller = shape;
      smaller.context = context;
      return least_fits(smaller);
    });
    shape.context = found > 0 ? found : std::min(shape.context, least);
    return found > 0;
  }

  // The shape with which the smallest plan fits: row blocks shrink first, then the chunk, then the
  // context; both go on below what is comfortable before giving up.
  bool shrink(StepShape& shape) const {
    if (!request_.context_asked) shape.context = std::min(shape.context, kStreamingContext);
    return shrink_chunk(shape, least_chunk()) || shrink_context(shape, kLeastContext) ||
           shrink_chunk(shape, request_.sequences) || shrink_context(shape, request_.context_step);
  }

  // Sequences to compare: one answer is to be fast, or all of them together.
  std::vector<std::int32_t> sequence_counts() const {
    std::vector<std::int32_t> counts = {request_.sequences};
    if (request_.goal == Goal::latency) return counts;
    for (std::int32_t part = 1; part < request_.sequences; part *= 2) {
      counts.push_back(part);
      if (part / 2 * 3 > part && part / 2 * 3 < request_.sequences) counts.push_back(part / 2 * 3);
    }
    return counts;
  }

  std::optional<CostedPlan> streamed() const {
    std::optional<CostedPlan> best;
    for (const std::int32_t sequences : sequence_counts()) {
      StepShape shape = shape_;
      shape.sequences = sequences;
      if (!shrink(shape)) continue;
      std::optional<CostedPlan> found = best_plan(request_, shape);
      if (!found) continue;
      if (request_.goal == Goal::latency) {
        grow_chunk(*found);
        cut_chunk(*found);
      }
      const bool comparable =
          !best || best->plan.predicted.has_value() == found->plan.predicted.has_value();
      if (!best || (comparable && found->cost < best->cost)) best = std::move(found);
    }
    return best;
  }

  // Larger chunks cost a prompt fewer sweeps, and memory.
  void grow_chunk(CostedPlan& found) const {
    if (request_.max_tokens_asked || !found.plan.streams) return;
    for (StepShape shape = found.plan.shape; shape.max_tokens < shape.context;) {
      shape.max_tokens = static_cast<std::int32_t>(
          std::min<std::int64_t>(std::int64_t{shape.max_tokens} * 2, shape.context));
      std::optional<CostedPlan> larger = plan_with(request_, shape, found.choice);
      if (!larger || larger->plan.streams != found.plan.streams) return;
      const bool unknown = !larger->plan.predicted && larger->cost <= found.cost;
      if (!unknown && larger->cost >= found.cost) return;
      found = std::move(*larger);
    }
  }

  // Smaller ones leave room for weights that stay.
  void cut_chunk(CostedPlan& found) const {
    if (request_.max_tokens_asked || !found.plan.streams || !found.plan.predicted) return;
    for (StepShape shape = found.plan.shape; shape.max_tokens > least_chunk();) {
      shape.max_tokens = std::max(shape.max_tokens / 2, least_chunk());
      std::optional<CostedPlan> smaller = plan_with(request_, shape, found.choice);
      if (!smaller || !smaller->plan.predicted || smaller->cost >= found.cost) return;
      found = std::move(*smaller);
    }
  }

  // What the least of all plans would need, for the message.
  PlacedUnits smallest() const {
    StepShape shape = shape_;
    shape.sequences = request_.goal == Goal::throughput ? 1 : request_.sequences;
    shape.max_tokens = shape.sequences;
    if (!request_.context_asked) shape.context = std::min(request_.context, request_.context_step);
    return place_units(request_, shape, {request_.blocks.back(), 2, 0});
  }

  const ResidencyRequest& request_;
  StepShape shape_;
};

}  // namespace

std::string_view tier_name(Tier tier) {
  constexpr std::string_view kNames[] = {"device", "host", "streamed", "cpu"};
  return kNames[static_cast<int>(tier)];
}

ResidencyPlan plan_residency(const ResidencyRequest& request) {
  check(request);
  return request.experts.all > 0 ? plan_with_experts(request) : require_units_plan(request);
}

std::optional<ResidencyPlan> plan_units(const ResidencyRequest& request) {
  return Planner(request).find();
}

ResidencyPlan require_units_plan(const ResidencyRequest& request) {
  return Planner(request).plan();
}

void force_gpu_layers(std::vector<PlanUnit>& units, std::int64_t gpu_layers) {
  std::int64_t left = std::max<std::int64_t>(gpu_layers, 0);
  std::int32_t layer = -1;
  bool on_device = false;
  for (auto unit = units.rbegin(); unit != units.rend(); ++unit) {
    if (unit->layer != layer) on_device = left-- > 0;
    layer = unit->layer;
    if (!unit->forced) unit->forced = on_device ? Tier::device : Tier::cpu;
  }
}

void force_experts_to_cpu(std::vector<PlanUnit>& units, std::int64_t layers) {
  for (PlanUnit& unit : units)
    if (unit.part == UnitPart::experts && unit.layer < layers && !unit.forced)
      unit.forced = Tier::cpu;
}

std::uint64_t smaller_budget(std::uint64_t budget, std::uint64_t failed_bytes) {
  const auto kept = static_cast<std::uint64_t>(kBudgetKept * static_cast<double>(budget));
  return kept > failed_bytes ? kept - failed_bytes : 0;
}

}  // namespace strata
