#include "runtime/streaming/residency_place.h"

#include <algorithm>
#include <cmath>

#include "runtime/streaming/residency_pack.h"

namespace strata {
namespace {

using Indices = std::vector<std::size_t>;

constexpr std::uint64_t kRingBytes = std::uint64_t{128} << 20;

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
    kept_last_.assign(request.units.size(), false);
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

  void give_first_to_cpu() {
    const std::vector<Indices> layers = movable_layers(request_);
    for (std::size_t i = 0; i < layers.size() && i < cpu_layers(); ++i) give_to_cpu(layers[i]);
  }

  // Layers that are not resident at even distances, and the CPU's evenly among them: what the CPU
  // computes between two streamed layers is the time that the second has to come.
  void spread_to_cpu() {
    const std::vector<Indices> layers = movable_layers(request_);
    const std::size_t count = std::min(cpu_layers(), layers.size());
    if (count == 0) return;
    const std::size_t not_resident = std::min(layers.size(), count + layers_to_stream(layers));
    std::size_t nth = 0;
    for (std::size_t i = 0; i < layers.size(); ++i) {
      if (!is_spread(i, not_resident, layers.size())) continue;
      if (is_spread(nth++, count, not_resident))
        give_to_cpu(layers[i]);
      else
        for (const std::size_t u : layers[i]) kept_last_[u] = true;
    }
  }

  std::size_t cpu_layers() const { return static_cast<std::size_t>(choice_.cpu_layers); }
  void give_to_cpu(const Indices& layer) {
    for (const std::size_t u : layer) tier(u) = Tier::cpu;
  }

  // About how many layers will have to stream beside those of the CPU, if all are of one size.
  std::size_t layers_to_stream(const std::vector<Indices>& layers) {
    const std::vector<Tier> before = plan_.tiers;
    give_first_to_cpu();
    count_fixed(/*streams=*/true);
    double left =
        static_cast<double>(plan_.need.total()) - static_cast<double>(request_.budgets.device);
    for (std::size_t i = 0; i < plan_.tiers.size(); ++i)
      if (tier(i) == Tier::device || (tier(i) == Tier::streamed && is_free(i)))
        left += static_cast<double>(unit(i).device_bytes);
    plan_.tiers = before;
    double all = 0;
    for (const Indices& layer : layers)
      for (const std::size_t u : layer) all += static_cast<double>(unit(u).device_bytes);
    if (left <= 0 || all <= 0) return 0;
    return static_cast<std::size_t>(std::ceil(left * static_cast<double>(layers.size()) / all));
  }

  // What the device holds whatever is resident. The cache is where the layer's attention is.
  void count_fixed(bool streams) {
    DeviceNeed& need = plan_.need;
    need = {};
    need.compute = request_.compute_bytes(plan_.shape);
    const std::uint64_t kv = request_.kv_bytes(plan_.shape);
    plan_.host_bytes = 0;
    for (std::size_t i = 0; i < request_.units.size(); ++i) {
      const bool cache = unit(i).first() && unit(i).part != UnitPart::output;
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
    give_first_to_cpu();
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
    spread_to_cpu();
    plan_.streams = any_streams();
    if (plan_.streams) plan_.block = choice_.block;
    if (plan_.streams && !request_.unified) plan_.slots = choice_.slots;
    count_fixed(plan_.streams);
    for (std::size_t i = 0; i < plan_.tiers.size(); ++i)
      if (tier(i) == Tier::device) plan_.need.resident += unit(i).device_bytes;
    if (!passes("device", plan_.need.total(), request_.budgets.device) || !plan_.streams) return;
    keep_what_fits();
    if (!any_streams()) return stream_nothing();
    if (request_.unified) {
      plan_.ring_slots = choice_.slots;
    } else {
      pin_what_fits();
      passes("host", choice_.cpu_layers > 0 ? plan_.host_bytes : plan_.pinned_bytes,
             request_.budgets.host);
    }
  }

  bool any_streams() const {
    return std::ranges::any_of(plan_.tiers,
                               [](Tier t) { return t == Tier::streamed || t == Tier::host; });
  }

  // Beside the slots all had room after all: other layers are the CPU's than at first.
  void stream_nothing() {
    plan_.streams = false;
    plan_.block = {};
    plan_.slots = 0;
    plan_.need.slots = plan_.need.packed = 0;
    passes("host", plan_.host_bytes * (choice_.cpu_layers > 0 ? 1 : 0), request_.budgets.host);
  }

  // Units of a tier in the order in which keeping them is worth it: what each token reads, the
  // output first where it is one unit, or where what streams best does so while the CPU computes
  // layers; then experts.
  std::vector<Indices> classes(Tier from) {
    std::vector<Indices> found(4);
    for (std::size_t i = 0; i < plan_.tiers.size(); ++i) {
      if (tier(i) != from || !is_free(i)) continue;
      const bool output =
          unit(i).part == UnitPart::output && (unit(i).op < 0 || choice_.cpu_layers > 0);
      found[output ? 0 : unit(i).used_per_token < 1 ? 3 : kept_last_[i] ? 2 : 1].push_back(i);
    }
    return found;
  }

  // Of a class what fills the room best; of parts of layers what leaves the links the most even
  // work.
  template <typename Bytes>
  void keep_spread(const Indices& units, Tier to, std::uint64_t& room, Bytes&& bytes) {
    std::vector<std::uint64_t> sizes;
    for (const std::size_t i : units) sizes.push_back(bytes(i));
    const bool parts = std::ranges::any_of(units, [&](std::size_t i) { return unit(i).op >= 0; });
    const std::vector<bool> kept = parts ? spread_bytes(sizes, room) : choose_units(sizes, room);
    for (std::size_t i = 0; i < units.size(); ++i) {
      if (!kept[i]) continue;
      tier(units[i]) = to;
      room -= sizes[i];
    }
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
    const std::uint64_t slot = std::max<std::uint64_t>(choice_.block.host_slot, 1);
    const auto least = static_cast<std::uint64_t>(std::max(4, request_.reader_threads + 2));
    // Enough to read on while other layers compute, but the greater part is for pinned units.
    const std::uint64_t usual = std::max(least, std::min(kRingBytes, most / 4) / slot);
    const std::uint64_t wanted =
        choice_.ring_slots > 0 ? static_cast<std::uint64_t>(choice_.ring_slots) : usual;
    const std::uint64_t slots = std::max<std::uint64_t>(2, std::min(wanted, most / slot));
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
      if (bytes(i) > room) continue;
      tier(i) = Tier::host;
      room -= bytes(i);
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
  std::vector<bool> kept_last_;  // by unit: among the CPU's layers, to be streamed
  std::optional<BudgetLack> lack_;
};

}  // namespace

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
