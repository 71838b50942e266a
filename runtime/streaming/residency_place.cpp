#include "runtime/streaming/residency_place.h"

#include <algorithm>
#include <cmath>

namespace strata {
namespace {

using Indices = std::vector<std::size_t>;

// Layers that may go to the CPU whole, by their units.
std::vector<Indices> movable_layers(const ResidencyRequest& request) {
  std::vector<Indices> layers;
  const std::vector<PlanUnit>& units = request.units;
  for (std::size_t i = 0; i < units.size();) {
    Indices of_layer;
    bool movable = units[i].part != UnitPart::output;
    bool any_free = false;
    for (const std::int32_t layer = units[i].layer; i < units.size() && units[i].layer == layer;
         ++i) {
      const std::optional<Tier> forced = forced_tier(request, i);
      of_layer.push_back(i);
      any_free = any_free || !forced;
      movable = movable && (!forced || *forced == Tier::cpu);
    }
    if (movable && any_free) layers.push_back(std::move(of_layer));
  }
  return layers;
}

class Placer {
 public:
  Placer(const ResidencyRequest& request, const StepShape& shape, const PlacementChoice& choice)
      : request_(request), choice_(choice) {
    plan_.shape = shape;
    plan_.tiers.assign(request.units.size(), Tier::streamed);
  }

  PlacedUnits place() {
    take_forced();
    if (!fits_resident()) stream_the_rest();
    count_bytes();
    return {std::move(plan_), lack_};
  }

 private:
  const PlanUnit& unit(std::size_t i) const { return request_.units[i]; }
  Tier& tier(std::size_t i) { return plan_.tiers[i]; }
  bool is_free(std::size_t i) const { return !forced_tier(request_, i); }

  void take_forced() {
    for (std::size_t i = 0; i < request_.units.size(); ++i)
      if (const std::optional<Tier> forced = forced_tier(request_, i)) tier(i) = *forced;
  }

  void give_to_cpu(bool spread) {
    const std::vector<Indices> layers = movable_layers(request_);
    const auto count = static_cast<std::size_t>(choice_.cpu_layers);
    for (std::size_t i = 0; i < layers.size(); ++i)
      if (spread ? is_spread(i, count, layers.size()) : i < count)
        for (const std::size_t u : layers[i]) tier(u) = Tier::cpu;
  }

  // What the device holds whatever is resident. The cache is where the layer's attention is.
  void count_fixed(bool streams) {
    DeviceNeed& need = plan_.need;
    need = {};
    need.compute = request_.compute_bytes(plan_.shape);
    const std::uint64_t kv = request_.kv_bytes(plan_.shape);
    plan_.host_bytes = 0;
    for (std::size_t i = 0; i < request_.units.size(); ++i) {
      const bool cache = unit(i).part == UnitPart::layer || unit(i).part == UnitPart::shared;
      const bool on_cpu = tier(i) == Tier::cpu;
      if (on_cpu) plan_.host_bytes += unit(i).cpu_bytes + (cache ? kv : 0);
      if (on_cpu) continue;
      need.small += unit(i).small_bytes;
      if (cache) need.kv += kv;
    }
    if (!streams) return;
    const auto slots = static_cast<std::uint64_t>(choice_.slots);
    need.slots = slots * (request_.unified ? choice_.block.host_slot : choice_.block.device_slot);
    need.packed = choice_.block.packed;
  }

  bool passes(std::string_view budget, std::uint64_t need, std::uint64_t have) {
    if (need > have && !lack_) lack_ = BudgetLack{budget, need, have};
    return need <= have;
  }

  // Everything that is not the CPU's stays on the device, and there is nothing to stream.
  bool fits_resident() {
    const std::vector<Tier> before = plan_.tiers;
    give_to_cpu(/*spread=*/false);
    bool wanted = true;
    for (std::size_t i = 0; i < plan_.tiers.size(); ++i) {
      if (tier(i) == Tier::streamed && is_free(i)) tier(i) = Tier::device;
      wanted = wanted && (tier(i) == Tier::device || tier(i) == Tier::cpu);
    }
    if (wanted) {
      count_fixed(/*streams=*/false);
      for (std::size_t i = 0; i < plan_.tiers.size(); ++i)
        if (tier(i) == Tier::device) plan_.need.resident += unit(i).device_bytes;
      if (plan_.need.total() <= request_.budgets.device && cpu_fits()) return true;
    }
    plan_.tiers = before;
    return false;
  }

  bool cpu_fits() const {
    return choice_.cpu_layers == 0 || plan_.host_bytes <= request_.budgets.host;
  }

  void stream_the_rest() {
    give_to_cpu(/*spread=*/true);
    plan_.streams = std::ranges::any_of(
        plan_.tiers, [](Tier t) { return t == Tier::streamed || t == Tier::host; });
    if (plan_.streams) plan_.block = choice_.block;
    if (plan_.streams && !request_.unified) plan_.slots = choice_.slots;
    count_fixed(plan_.streams);
    for (std::size_t i = 0; i < plan_.tiers.size(); ++i)
      if (tier(i) == Tier::device) plan_.need.resident += unit(i).device_bytes;
    if (!passes("device", plan_.need.total(), request_.budgets.device) || !plan_.streams) return;
    keep_what_fits();
    if (request_.unified) {
      plan_.ring_slots = choice_.slots;
    } else {
      pin_what_fits();
      passes("host", choice_.cpu_layers > 0 ? plan_.host_bytes : plan_.pinned_bytes,
             request_.budgets.host);
    }
  }

  // Units that stay streamed unless they are kept, in the order in which they are worth it: what
  // each token reads, the output first; then experts.
  std::vector<Indices> classes(Tier from) {
    std::vector<Indices> found(3);
    for (std::size_t i = 0; i < plan_.tiers.size(); ++i) {
      if (tier(i) != from || !is_free(i)) continue;
      const bool output = unit(i).part == UnitPart::output;
      found[output ? 0 : unit(i).used_per_token < 1 ? 2 : 1].push_back(i);
    }
    return found;
  }

  // The most evenly spread units of the class that fit, then whatever still does.
  template <typename Bytes>
  void keep_spread(const Indices& units, Tier to, std::uint64_t& room, Bytes&& bytes) {
    const auto total = [&](std::size_t count) {
      std::uint64_t sum = 0;
      for (std::size_t i = 0; i < units.size(); ++i)
        if (is_spread(i, count, units.size())) sum += bytes(units[i]);
      return sum;
    };
    std::size_t low = 0;
    for (std::size_t high = units.size(); low < high;) {
      const std::size_t middle = (low + high + 1) / 2;
      if (total(middle) <= room)
        low = middle;
      else
        high = middle - 1;
    }
    const Tier from = units.empty() ? to : tier(units[0]);
    for (std::size_t i = 0; i < units.size(); ++i)
      if (is_spread(i, low, units.size())) move(units[i], to, room, bytes(units[i]));
    for (const std::size_t u : units)
      if (tier(u) == from && bytes(u) <= room) move(u, to, room, bytes(u));
  }

  void move(std::size_t i, Tier to, std::uint64_t& room, std::uint64_t bytes) {
    tier(i) = to;
    room -= bytes;
  }

  void keep_what_fits() {
    std::uint64_t room = request_.budgets.device - plan_.need.total();
    const std::uint64_t before = room;
    for (const Indices& units : classes(Tier::streamed))
      keep_spread(units, Tier::device, room, [&](std::size_t i) { return unit(i).device_bytes; });
    plan_.need.resident += before - room;
  }

  // The ring, and units in pinned memory, where that is worth it: where the disk is slower.
  void pin_what_fits() {
    const std::uint64_t most =
        std::min(request_.budgets.pinned,
                 request_.budgets.host - std::min(request_.budgets.host, cpu_host_bytes()));
    std::uint64_t streamed = 0;
    std::uint64_t wished = 0;
    for (std::size_t i = 0; i < plan_.tiers.size(); ++i) {
      if (tier(i) == Tier::streamed) streamed += unit(i).file_bytes;
      if (tier(i) == Tier::host) wished += unit(i).file_bytes;
    }
    const bool slow_disk = request_.links.disk > 0 && request_.links.disk < request_.links.upload;
    if (streamed + wished <= most && (slow_disk || streamed == 0)) {
      for (std::size_t i = 0; i < plan_.tiers.size(); ++i)
        if (tier(i) == Tier::streamed && is_free(i)) tier(i) = Tier::host;
      if (std::ranges::find(plan_.tiers, Tier::streamed) == plan_.tiers.end()) {
        add_pinned(streamed + wished);
        return;
      }
    }
    take_ring(most);
    pin_some(most, slow_disk);
  }

  std::uint64_t cpu_host_bytes() const { return choice_.cpu_layers > 0 ? plan_.host_bytes : 0; }

  void add_pinned(std::uint64_t bytes) {
    plan_.pinned_bytes += bytes;
    plan_.host_bytes += bytes;
  }

  void take_ring(std::uint64_t most) {
    const std::uint64_t slot = choice_.block.host_slot;
    const auto wanted = static_cast<std::uint64_t>(std::max(4, request_.reader_threads + 2));
    const std::uint64_t slots =
        std::clamp<std::uint64_t>(most / std::max<std::uint64_t>(slot, 1), 2, wanted);
    plan_.ring_slots = static_cast<int>(slots);
    add_pinned(slots * slot);
    passes("pinned", plan_.pinned_bytes, most);
  }

  void pin_some(std::uint64_t most, bool slow_disk) {
    std::uint64_t room = most - std::min(most, plan_.pinned_bytes);
    const std::uint64_t before = room;
    const auto bytes = [&](std::size_t i) { return unit(i).file_bytes; };
    for (std::size_t i = 0; i < plan_.tiers.size(); ++i) {
      if (forced_tier(request_, i) != Tier::host) {
        if (tier(i) == Tier::host) tier(i) = Tier::streamed;
        continue;
      }
      tier(i) = Tier::streamed;
      if (bytes(i) <= room) move(i, Tier::host, room, bytes(i));
    }
    if (slow_disk)
      for (const Indices& units : classes(Tier::streamed))
        keep_spread(units, Tier::host, room, bytes);
    add_pinned(before - room);
  }

  void count_bytes() {
    for (std::size_t i = 0; i < plan_.tiers.size(); ++i)
      plan_.tier_bytes[static_cast<int>(tier(i))] += unit(i).file_bytes;
    if (request_.unified) plan_.host_bytes = 0;
  }

  const ResidencyRequest& request_;
  const PlacementChoice& choice_;
  ResidencyPlan plan_;
  std::optional<BudgetLack> lack_;
};

}  // namespace

bool is_spread(std::size_t i, std::size_t chosen, std::size_t all) {
  return (i + 1) * chosen / all > i * chosen / all;
}

double used_share(const PlanUnit& unit, std::int32_t tokens) {
  if (unit.used_per_token >= 1) return 1;
  return 1 - std::pow(1 - unit.used_per_token, tokens);
}

std::optional<Tier> forced_tier(const ResidencyRequest& request, std::size_t unit) {
  const std::optional<Tier>& forced = request.units[unit].forced;
  if (!forced || !request.unified) return forced;
  return *forced == Tier::cpu ? Tier::device : *forced == Tier::host ? Tier::streamed : *forced;
}

int layers_for_cpu(const ResidencyRequest& request) {
  if (!request.cpu_may_compute || request.unified) return 0;
  return static_cast<int>(movable_layers(request).size());
}

PlacedUnits place_units(const ResidencyRequest& request, const StepShape& shape,
                        const PlacementChoice& choice) {
  return Placer(request, shape, choice).place();
}

}  // namespace strata
