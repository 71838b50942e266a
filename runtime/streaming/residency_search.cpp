#include "runtime/streaming/residency_search.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "runtime/streaming/residency_time.h"

namespace strata {
namespace {

constexpr double kCpuMustGain = 0.05;
constexpr double kLayoutMustGain = 0.01;

// Without measured speeds: bytes that move, and a guess of what small blocks and two slots lose.
double cost_in_bytes(const ResidencyRequest& request, const ResidencyPlan& plan) {
  double bytes = 0;
  for (std::size_t i = 0; i < plan.tiers.size(); ++i)
    if (plan.tiers[i] == Tier::streamed || plan.tiers[i] == Tier::host)
      bytes += used_share(request.units[i], plan.shape.sequences) *
               static_cast<double>(request.units[i].file_bytes);
  constexpr double kMiB = 1 << 20;
  const double target = std::max(static_cast<double>(plan.block.target_bytes), kMiB / 64);
  const int slots = request.unified ? plan.ring_slots : plan.slots;
  return bytes * (1 + 0.25 * kMiB / target + (slots < 3 ? 0.03 : 0));
}

// Share of the time that copies of uneven duration cost with so many slots, where copying and
// computing take equally long (streaming.md 4.2); where one of them waits anyway there is less.
double slot_loss(const ResidencyRequest& request, const ResidencyPlan& plan) {
  if (!plan.streams || plan.links.size() < 4) return 0;
  const int slots = request.unified ? plan.ring_slots : plan.slots;
  constexpr double kLoss[] = {0.184, 0.08, 0.051};
  constexpr double kPower[] = {1, 1.76, 1.9};
  const auto at = static_cast<std::size_t>(std::clamp(slots, 2, 4) - 2);
  const auto busy = [&](int link) {
    return plan.links[static_cast<std::size_t>(link)].busy_seconds.value_or(0);
  };
  const double moves = std::max(busy(0), busy(1));
  const double computes = busy(2) + busy(3);
  if (moves <= 0 || computes <= 0) return 0;
  const double balance = std::min(moves, computes) / std::max(moves, computes);
  return balance * balance * kLoss[at] * std::pow(2 * request.copy_variation, kPower[at]);
}

std::optional<PredictedSweep> predict(const ResidencyRequest& request, ResidencyPlan& plan) {
  const auto launches = launches_of(request, plan, plan.shape.sequences);
  if (!launches) return std::nullopt;
  const SimResult sweep = simulate_sweeps(*launches, sim_settings(request, plan));
  PredictedSweep predicted;
  predicted.sweep_seconds = sweep.sweep_ns * 1e-9;
  predicted.token_seconds = predicted.sweep_seconds / plan.shape.sequences;
  predicted.first_sweep_seconds = sweep.first_sweep_ns * 1e-9;
  predicted.compute_stall_seconds = sweep.compute_stall_ns * 1e-9;
  plan.links = link_uses(request, plan);
  const double busy[] = {sweep.disk_busy_ns, sweep.copy_busy_ns, sweep.device_busy_ns,
                         sweep.cpu_busy_ns};
  for (std::size_t i = 0; i < plan.links.size(); ++i) plan.links[i].busy_seconds = busy[i] * 1e-9;
  // Device and CPU take turns.
  const std::size_t computes = busy[3] > busy[2] ? 3 : 2;
  const std::size_t carries = busy[0] > busy[1] ? 0 : 1;
  plan.binding_link = plan.links[busy[2] + busy[3] > busy[carries] ? computes : carries].name;
  return predicted;
}

// How many layers have to move if the CPU has none: by bytes where parts of layers are placed, as
// the output is kept first where the CPU computes layers.
int layers_not_resident(const ResidencyRequest& request, const ResidencyPlan& plan) {
  std::set<std::int32_t> layers;
  double all = 0;
  double moved = 0;
  int units = 0;
  for (std::size_t i = 0; i < plan.tiers.size(); ++i) {
    const PlanUnit& unit = request.units[i];
    const auto bytes = static_cast<double>(unit.file_bytes);
    if (unit.part != UnitPart::output) layers.insert(unit.layer);
    if (unit.part != UnitPart::output) all += bytes;
    if (plan.tiers[i] != Tier::device) moved += bytes;
    if (plan.tiers[i] != Tier::device) ++units;
  }
  const bool parts = std::ranges::any_of(request.units, [](const auto& u) { return u.op >= 0; });
  if (!parts || all <= 0) return units;
  const auto count = static_cast<double>(layers.size());
  return static_cast<int>(std::ceil(std::min(count, moved * count / all)));
}

// Splits of the layers between CPU and link that may be good: none, all, and around the split at
// which both end at the same time if nothing else is in the way (streaming.md 3.4).
std::set<int> cpu_shares(const ResidencyRequest& request, const ResidencyPlan& streamed,
                         int layers) {
  std::set<int> shares = {0};
  const LinkSpeeds& links = request.links;
  if (layers == 0 || links.cpu_read <= 0 || links.device_read <= 0) return shares;
  if (request.typical_prompt > 0 && links.cpu_flops <= 0 && links.device_flops > 0) return shares;
  double moved = 0;
  double resident = 0;
  for (std::size_t i = 0; i < streamed.tiers.size(); ++i)
    (streamed.tiers[i] == Tier::device ? resident : moved) +=
        used_share(request.units[i], streamed.shape.sequences) *
        static_cast<double>(request.units[i].file_bytes);
  const double cpu = cpu_speed(request, true);
  const double disk = streamed.links[0].busy_seconds.value_or(0);
  const double link = disk * links.upload > moved ? moved / disk : links.upload;
  const double g = links.device_read;
  const double t = (moved / cpu + resident / g) / (1 + link / cpu - link / g);
  const double share = moved > 0 ? std::clamp(1 - t * link / moved, 0.0, 1.0) : 0;
  const int not_resident = layers_not_resident(request, streamed);
  const int middle = static_cast<int>(std::lround(share * std::min(not_resident, layers)));
  for (const int c : {middle / 2, middle * 3 / 4, middle - 2, middle - 1, middle, middle + 1,
                      middle + 2, middle * 5 / 4, not_resident - 1, not_resident})
    shares.insert(std::clamp(c, 0, layers));
  return shares;
}

// The fewest CPU layers with which nothing is streamed, if there are: then no slots are needed.
std::optional<int> without_streaming(const ResidencyRequest& request, const StepShape& shape,
                                     int layers) {
  const auto streams = [&](int cpu) {
    const PlacedUnits placed = place_units(request, shape, {request.blocks.back(), 2, cpu});
    return placed.plan.streams;
  };
  if (layers == 0 || streams(layers)) return std::nullopt;
  int low = 1;
  for (int high = layers; low < high;) {
    const int middle = (low + high) / 2;
    if (streams(middle))
      low = middle + 1;
    else
      high = middle;
  }
  return low;
}

std::set<int> slot_counts(const ResidencyRequest& request, const BlockChoice& block, bool cpu) {
  std::set<int> counts;
  if (request.unified) return {2, 3, 4, 8, 16, request.reader_threads + 2};
  for (int slots = 2; slots <= std::clamp(request.most_slots, 2, 4); ++slots) counts.insert(slots);
  if (!cpu || request.most_slots <= 4) return counts;
  std::uint64_t layer = 0;
  std::uint64_t part = 0;
  for (const PlanUnit& unit : request.units) {
    part = (unit.op <= 0 && unit.piece == 0 ? 0 : part) + unit.file_bytes;
    if (unit.part != UnitPart::output) layer = std::max(layer, part);
  }
  const double blocks =
      std::ceil(static_cast<double>(layer) /
                static_cast<double>(std::max<std::uint64_t>(block.target_bytes, 1)));
  for (const double slots : {blocks / 2, blocks + 1, 1.5 * blocks})
    counts.insert(static_cast<int>(std::clamp<double>(slots, 2, request.most_slots)));
  return counts;
}

class Search {
 public:
  Search(const ResidencyRequest& request, const StepShape& shape)
      : request_(request), shape_(shape) {}

  std::optional<CostedPlan> run() {
    for (const BlockChoice& block : request_.blocks)
      if (!block.file_layout) consider_slots(device_, block);
    try_file_layout();
    refine_ring(device_);
    share_with_cpu();
    refine_ring(cpu_);
    // A little is not worth heating the CPU for.
    if (cpu_ && (!device_ || cpu_->cost < (1 - kCpuMustGain) * device_->cost)) return cpu_;
    return device_;
  }

 private:
  void consider_slots(std::optional<CostedPlan>& best, const BlockChoice& block) {
    for (const int slots : slot_counts(request_, block, false)) {
      consider(best, {block, slots, 0});
      if (!request_.unified) consider(best, {block, slots, 0, 4});
    }
  }

  // How large units are best hardly depends on the layout. Where packing costs nothing it stays:
  // kernels for another layout are not what a device is best at.
  void try_file_layout() {
    const std::uint64_t best = device_ ? device_->choice.block.target_bytes : 0;
    std::optional<CostedPlan> found;
    for (const BlockChoice& block : request_.blocks) {
      const bool near = block.target_bytes <= 2 * best && block.target_bytes >= best / 2;
      if (block.file_layout && (near || !device_)) consider_slots(found, block);
    }
    if (found && (!device_ || found->cost < (1 - kLayoutMustGain) * device_->cost))
      device_ = std::move(found);
  }

  void share_with_cpu() {
    const int layers = layers_for_cpu(request_);
    if (layers == 0 || (device_ && !device_->plan.streams)) return;
    // What is not measured is not compared.
    if (device_ && !device_->plan.predicted) return;
    if (const std::optional<int> least = without_streaming(request_, shape_, layers)) {
      consider(cpu_, {request_.blocks.back(), 2, *least});
      consider(cpu_, {request_.blocks.back(), 2, layers});
    }
    if (!device_) {
      for (int cpu = 1; cpu <= layers; ++cpu) consider(cpu_, {request_.blocks.back(), 2, cpu});
      return;
    }
    for (const int cpu : cpu_shares(request_, device_->plan, layers)) {
      if (cpu == 0) continue;
      for (const BlockChoice& block : request_.blocks)
        if (block.file_layout == device_->choice.block.file_layout)
          for (const int slots : slot_counts(request_, block, true))
            consider(cpu_, {block, slots, cpu});
    }
  }

  void consider(std::optional<CostedPlan>& best, const PlacementChoice& choice) {
    std::optional<CostedPlan> candidate = plan_with(request_, shape_, choice);
    // What is not measured is not compared with what is.
    if (candidate && device_ && device_->plan.predicted && !candidate->plan.predicted) return;
    if (candidate && (!best || candidate->cost < best->cost)) best = std::move(candidate);
  }

  // A larger or smaller ring: more to read ahead, or more that is pinned.
  void refine_ring(std::optional<CostedPlan>& best) {
    if (!best || request_.unified || !best->plan.predicted) return;
    const int ring = best->plan.ring_slots;
    if (ring == 0) return;
    for (const int slots : {ring / 4, ring / 2, 2 * ring, 4 * ring}) {
      PlacementChoice choice = best->choice;
      choice.ring_slots = std::max(slots, 2);
      consider(best, choice);
    }
  }

  const ResidencyRequest& request_;
  const StepShape& shape_;
  std::optional<CostedPlan> device_;  // the CPU has only what is forced there
  std::optional<CostedPlan> cpu_;
};

}  // namespace

double cost_of(const ResidencyRequest& request, ResidencyPlan& plan) {
  plan.links = link_uses(request, plan);
  plan.predicted = predict(request, plan);
  if (!plan.predicted) return cost_in_bytes(request, plan);
  const double loss = 1 + slot_loss(request, plan);
  if (request.goal == Goal::throughput) return loss * plan.predicted->token_seconds;
  const double step = plan.predicted->sweep_seconds;
  double prompt = step;
  if (const auto launches = launches_of(request, plan, plan.shape.max_tokens)) {
    prompt = simulate_sweeps(*launches, sim_settings(request, plan)).sweep_ns * 1e-9;
    plan.predicted->prompt_sweep_seconds = prompt;
  }
  const double chunks = std::ceil(static_cast<double>(request.typical_prompt) /
                                  static_cast<double>(plan.shape.max_tokens));
  return loss * (chunks * prompt + static_cast<double>(request.typical_answer) * step);
}

std::optional<CostedPlan> plan_with(const ResidencyRequest& request, const StepShape& shape,
                                    const PlacementChoice& choice) {
  PlacedUnits placed = place_units(request, shape, choice);
  if (placed.lack) return std::nullopt;
  CostedPlan costed{std::move(placed.plan), choice, 0};
  costed.cost = cost_of(request, costed.plan);
  return costed;
}

std::optional<CostedPlan> best_plan(const ResidencyRequest& request, const StepShape& shape) {
  return Search(request, shape).run();
}

}  // namespace strata
