#include "apps/devices.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "backends/registry.h"
#include "runtime/core/error.h"

namespace strata::apps {
namespace {

using cli::OptionId;

int batch_threads(const cli::Arguments& arguments) {
  if (!cli::option_info(OptionId::threads_batch).taken_by(arguments.command())) return 0;
  return static_cast<int>(arguments.integer(OptionId::threads_batch));
}

cli::Placement asked_placement(const cli::Arguments& arguments) {
  cli::PlacementWish wish{
      arguments.text(OptionId::device), arguments.text(OptionId::gpu_layers), {}};
  if (arguments.has(OptionId::main_gpu)) wish.main_gpu = arguments.integer(OptionId::main_gpu);
  return cli::choose_devices(wish, [] { return list_devices({}); });
}

/// Places layers on GPUs and the CPU, and says what that takes.
class Placer {
 public:
  Placer(const Model& model, ChosenDevices& chosen, const RunnerOptions& options,
         const OverriddenLayers& overridden, const MemoryLimits& limits)
      : model_(model),
        chosen_(chosen),
        options_(options),
        overridden_(overridden),
        limits_(limits) {}

  // So many layers on the GPUs, the output counted.
  PlacedModel with(std::int64_t gpu_layers) {
    if (chosen_.gpus.empty()) return placed(place_whole(model_, *chosen_.cpu), 0);
    Device& rest = chosen_.cpu != nullptr ? *chosen_.cpu : *chosen_.gpus.front();
    return placed(place_layers(model_, chosen_.gpus, rest, gpu_layers), gpu_layers);
  }

  // The most layers on GPUs that fit there.
  PlacedModel what_fits() {
    const std::int64_t all = model_.config().layers + 1;
    PlacedModel best = with(all);
    if (fits(best, limits_)) return best;
    std::int64_t fit = 0;
    for (std::int64_t beyond = all; beyond - fit > 1;) {
      const std::int64_t middle = fit + (beyond - fit) / 2;
      (gpus_hold(with(middle)) ? fit : beyond) = middle;
    }
    best = with(fit);
    best.notes.push_back(fmt::format(
        "{} of {} layers fit on the GPU{} (the output is one), the others are on the CPU (-ngl {})",
        fit, all, chosen_.gpus.size() > 1 ? "s" : "", fit));
    return best;
  }

 private:
  PlacedModel placed(Placement placement, std::int64_t gpu_layers) {
    if (overridden_.any()) placement = overridden(placement);
    std::vector<MemoryPlan> memory = Runner::plan_memory(model_, placement, options_);
    return {std::move(placement), std::move(memory), {}, gpu_layers};
  }

  Placement overridden(const Placement& placement) {
    HalfDevices halves = half_devices(placement, static_cast<std::int32_t>(model_.config().layers));
    const auto put = [&](std::size_t half, const std::optional<DeviceId>& device) {
      if (device) halves[half] = &chosen_.named(*device);
    };
    for (std::size_t i = 0; i < overridden_.layers.size(); ++i) {
      put(2 * i, overridden_.layers[i].attention);
      put(2 * i + 1, overridden_.layers[i].feed_forward);
    }
    put(halves.size() - 1, overridden_.output);
    return place_halves(halves);
  }

  bool gpus_hold(const PlacedModel& tested) const {
    const std::vector<Device*> devices = devices_of(tested.placement);
    for (std::size_t i = 0; i < devices.size(); ++i)
      if (devices[i] != chosen_.cpu && missing_on(*devices[i], tested.memory[i], limits_) > 0)
        return false;
    return true;
  }

  const Model& model_;
  ChosenDevices& chosen_;
  const RunnerOptions& options_;
  const OverriddenLayers& overridden_;
  const MemoryLimits& limits_;
};

}  // namespace

MemoryLimits asked_limits(const cli::Arguments& arguments, const ChosenDevices& chosen) {
  return {arguments.bytes(OptionId::device_memory), arguments.bytes(OptionId::host_memory),
          chosen.gpus.empty()};
}

std::uint64_t usable_memory(const Device& device, const MemoryLimits& limits) {
  const MemoryUse use = device.memory();
  std::uint64_t usable = use.free;
  const auto limit = [&](std::uint64_t asked) {
    if (asked > 0) usable = std::min(usable, asked - std::min(asked, use.ours));
  };
  const bool unified = device.info().unified;
  if (!unified || limits.cpu_is_device) limit(limits.device);
  if (unified) limit(limits.host);
  return usable;
}

Device& ChosenDevices::host() {
  const DeviceId id{BackendKind::cpu, 0};
  for (const auto& device : devices)
    if (device->info().id == id) return *device;
  return *devices.emplace_back(open_device(to_string(id), options));
}

Device& ChosenDevices::named(const DeviceId& id) {
  std::string names = "cpu:0";
  for (const auto& device : devices) {
    if (device->info().id == id) return *device;
    if (device->info().id.backend != BackendKind::cpu) names += ", " + to_string(device->info().id);
  }
  if (id == DeviceId{BackendKind::cpu, 0}) return host();
  throw Error(ErrorCode::usage, "-ot", fmt::format("names {}, which is not chosen", to_string(id)),
              "one of " + names + "; --device chooses others");
}

ChosenDevices open_chosen_devices(const cli::Arguments& arguments, int threads) {
  const cli::Placement asked = asked_placement(arguments);
  ChosenDevices chosen;
  chosen.options = {threads, batch_threads(arguments), arguments.bytes(OptionId::device_memory)};
  chosen.gpu_layers = asked.gpu_layers;
  chosen.must_fit = asked.must_fit;
  chosen.cpu_may_help = asked.cpu_may_help;
  std::vector<DeviceId> ids = asked.devices;
  const DeviceId cpu{BackendKind::cpu, 0};
  const bool has_cpu = std::find(ids.begin(), ids.end(), cpu) != ids.end();
  if (asked.gpu_layers && !has_cpu) ids.push_back(cpu);
  for (const DeviceId& id : ids) {
    Device* const device =
        chosen.devices.emplace_back(open_device(to_string(id), chosen.options)).get();
    if (id == cpu)
      chosen.cpu = device;
    else
      chosen.gpus.push_back(device);
  }
  return chosen;
}

ChosenDevices open_asked_device(const cli::Arguments& arguments, int threads) {
  ChosenDevices chosen = open_chosen_devices(arguments, threads);
  const std::size_t count = chosen.gpus.size() + (chosen.cpu != nullptr ? 1 : 0);
  if (count > 1)
    throw Error(ErrorCode::usage, std::string(cli::command_info(arguments.command()).name),
                fmt::format("measures one device, and {} are asked for", count),
                "--device " + to_string(chosen.devices.front()->info().id));
  chosen.cpu_may_help = false;
  return chosen;
}

void refuse_split_layers(const cli::Arguments& arguments, std::int64_t layers) {
  const cli::Placement asked = asked_placement(arguments);
  if (asked.gpu_layers.value_or(layers + 1) <= layers)
    throw Error(
        ErrorCode::usage, "-ngl",
        fmt::format("{} of {} layers (the output is one): {} measures one device with all "
                    "of them",
                    *asked.gpu_layers, layers + 1, cli::command_info(arguments.command()).name),
        "-ngl all, or -ngl 0");
}

std::uint64_t missing_on(const Device& device, MemoryPlan need, const MemoryLimits& limits) {
  // Mapped weights are page cache, which gives way; a limit that the user sets is for them too.
  const bool limited =
      device.info().unified && ((limits.device > 0 && limits.cpu_is_device) || limits.host > 0);
  if (limited) need.weights_packed += std::exchange(need.weights_mapped, 0);
  return need.missing(usable_memory(device, limits));
}

bool fits(const PlacedModel& placed, const MemoryLimits& limits) {
  const std::vector<Device*> devices = devices_of(placed.placement);
  for (std::size_t i = 0; i < devices.size(); ++i)
    if (missing_on(*devices[i], placed.memory[i], limits) > 0) return false;
  return true;
}

PlacedModel place_resident(const Model& model, ChosenDevices& chosen, const RunnerOptions& options,
                           const OverriddenLayers& overridden, const MemoryLimits& limits) {
  Placer placer(model, chosen, options, overridden, limits);
  const std::int64_t all = model.config().layers + 1;
  if (chosen.gpu_layers) return placer.with(*chosen.gpu_layers);
  if (chosen.cpu == nullptr || chosen.gpus.empty()) return placer.with(all);
  try {
    return chosen.must_fit ? placer.what_fits() : placer.with(all);
  } catch (const Error& error) {
    if (error.code() != ErrorCode::unsupported_op) throw;
    PlacedModel on_cpu = placer.with(0);
    on_cpu.notes.push_back(fmt::format("all layers are on the CPU: {}", error.what()));
    return on_cpu;
  }
}

}  // namespace strata::apps
