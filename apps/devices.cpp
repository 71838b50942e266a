#include "apps/devices.h"

#include <fmt/format.h>

#include <algorithm>

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

bool fits(const PlacedModel& placed) {
  for (std::size_t i = 0; i < placed.placement.size(); ++i) {
    const Device& device = *placed.placement[i].device;
    if (device.info().id.backend != BackendKind::cpu &&
        placed.memory[i].missing(device.memory().free) > 0)
      return false;
  }
  return true;
}

PlacedModel placed_as(const Model& model, const Placement& placement,
                      const RunnerOptions& options) {
  return {placement, Runner::plan_memory(model, placement, options), {}};
}

// The most layers on GPUs that fit there.
PlacedModel place_what_fits(const Model& model, const ChosenDevices& chosen,
                            const RunnerOptions& options) {
  const std::int64_t all = model.config().layers + 1;
  auto with = [&](std::int64_t count) {
    return placed_as(model, place_layers(model, chosen.gpus, *chosen.cpu, count), options);
  };
  PlacedModel best;
  try {
    best = with(all);
    if (fits(best)) return best;
  } catch (const Error& error) {
    if (error.code() != ErrorCode::unsupported_op) throw;
    best = with(0);
    best.note = fmt::format("all layers are on the CPU: {}", error.what());
    return best;
  }
  std::int64_t fit = 0;
  for (std::int64_t beyond = all; beyond - fit > 1;) {
    const std::int64_t middle = fit + (beyond - fit) / 2;
    (fits(with(middle)) ? fit : beyond) = middle;
  }
  best = with(fit);
  best.note = fmt::format(
      "{} of {} layers fit on the GPU{} (the output is one), the others are on the CPU (-ngl {})",
      fit, all, chosen.gpus.size() > 1 ? "s" : "", fit);
  return best;
}

}  // namespace

ChosenDevices open_chosen_devices(const cli::Arguments& arguments, int threads) {
  const cli::Placement asked = asked_placement(arguments);
  const DeviceOptions options{threads, batch_threads(arguments)};
  ChosenDevices chosen;
  chosen.gpu_layers = asked.gpu_layers;
  std::vector<DeviceId> ids = asked.devices;
  const DeviceId cpu{BackendKind::cpu, 0};
  const bool has_cpu = std::find(ids.begin(), ids.end(), cpu) != ids.end();
  if (asked.gpu_layers && !has_cpu) ids.push_back(cpu);
  for (const DeviceId& id : ids) {
    Device* const device = chosen.devices.emplace_back(open_device(to_string(id), options)).get();
    if (id == cpu)
      chosen.cpu = device;
    else
      chosen.gpus.push_back(device);
  }
  return chosen;
}

std::unique_ptr<Device> open_asked_device(const cli::Arguments& arguments, int threads) {
  const cli::Placement asked = asked_placement(arguments);
  if (asked.devices.size() > 1)
    throw Error(ErrorCode::usage, std::string(cli::command_info(arguments.command()).name),
                fmt::format("measures one device, and {} are asked for", asked.devices.size()),
                "--device " + to_string(asked.devices.front()));
  return open_device(to_string(asked.devices.front()), {threads, batch_threads(arguments)});
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

PlacedModel place_model(const Model& model, const ChosenDevices& chosen,
                        const RunnerOptions& options) {
  if (chosen.gpus.empty()) return placed_as(model, place_whole(model, *chosen.cpu), options);
  if (chosen.gpu_layers)
    return placed_as(model, place_layers(model, chosen.gpus, *chosen.cpu, *chosen.gpu_layers),
                     options);
  if (chosen.cpu != nullptr) return place_what_fits(model, chosen, options);
  return placed_as(
      model, place_layers(model, chosen.gpus, *chosen.gpus.front(), model.config().layers + 1),
      options);
}

}  // namespace strata::apps
