#include "runtime/engine/placement.h"

#include <algorithm>

namespace strata {
namespace {

// Cuts `layers` in shares of the devices' free memory; every device gets its rounded share.
std::vector<std::int32_t> shares(std::span<Device* const> devices, std::int32_t layers) {
  double total = 0;
  std::vector<double> free;
  for (Device* device : devices)
    total += free.emplace_back(std::max<double>(1, static_cast<double>(device->memory().free)));
  std::vector<std::int32_t> counts;
  double before = 0;
  std::int32_t placed = 0;
  for (const double bytes : free) {
    before += bytes;
    const auto end = static_cast<std::int32_t>(before / total * layers + 0.5);
    counts.push_back(std::min(end, layers) - placed);
    placed += counts.back();
  }
  return counts;
}

}  // namespace

std::vector<Device*> devices_of(const Placement& placement) {
  std::vector<Device*> devices;
  for (const PlacedPart& part : placement)
    if (std::find(devices.begin(), devices.end(), part.device) == devices.end())
      devices.push_back(part.device);
  return devices;
}

HalfDevices half_devices(const Placement& placement, std::int32_t layers) {
  HalfDevices halves(2 * static_cast<std::size_t>(layers) + 1, placement.back().device);
  for (const PlacedPart& part : placement) {
    const std::int32_t end = 2 * (part.first_layer + part.layers) - (part.ends_inside ? 1 : 0);
    for (std::int32_t i = 2 * part.first_layer + (part.begins_inside ? 1 : 0); i < end; ++i)
      halves[static_cast<std::size_t>(i)] = part.device;
  }
  return halves;
}

Placement place_halves(const HalfDevices& halves) {
  Placement placement;
  const auto layers = static_cast<std::int32_t>(halves.size() / 2);
  for (std::int32_t i = 0; i < 2 * layers; ++i) {
    Device* const device = halves[static_cast<std::size_t>(i)];
    const bool feed_forward = i % 2 == 1;
    const bool begins = placement.empty() || placement.back().device != device;
    if (begins && feed_forward) placement.back().ends_inside = true;
    if (begins) placement.push_back({device, i / 2, 0, {}});
    if (begins) placement.back().begins_inside = feed_forward;
    if (begins || !feed_forward) ++placement.back().layers;
  }
  if (placement.back().device != halves.back()) placement.push_back({halves.back(), layers, 0, {}});
  return placement;
}

Placement place_whole(const Model& model, Device& device) {
  return {{&device, 0, static_cast<std::int32_t>(model.config().layers), {}}};
}

Placement place_layers(const Model& model, std::span<Device* const> gpus, Device& cpu,
                       std::int64_t gpu_layers) {
  const auto layers = static_cast<std::int32_t>(model.config().layers);
  if (gpus.empty() || gpu_layers <= 0) return place_whole(model, cpu);
  const auto on_gpus =
      static_cast<std::int32_t>(std::min<std::int64_t>(gpu_layers, std::int64_t{layers} + 1)) - 1;
  Placement placement;
  std::int32_t first = layers - on_gpus;
  if (gpu_layers <= layers) placement.push_back({&cpu, 0, first, {}});
  const std::vector<std::int32_t> counts = shares(gpus, on_gpus);
  for (std::size_t i = 0; i < gpus.size(); first += counts[i++])
    if (counts[i] > 0 || i + 1 == gpus.size()) placement.push_back({gpus[i], first, counts[i], {}});
  return placement;
}

}  // namespace strata
