#pragma once

#include <memory>
#include <string>
#include <vector>

#include "apps/cli/arguments.h"
#include "apps/cli/placement.h"
#include "runtime/engine/runner.h"

namespace strata::apps {

/// The devices that --device, -ngl and --main-gpu choose, opened.
struct ChosenDevices {
  std::vector<std::unique_ptr<Device>>
      devices;                ///< in the order of --device; the CPU is added for -ngl N
  std::vector<Device*> gpus;  ///< of these
  Device* cpu = nullptr;      ///< if it may compute layers
  std::optional<std::int64_t> gpu_layers;  ///< -ngl N
};

/// Opens them, with `threads` threads where one is the CPU (0: all usable CPUs). Throws
/// Error{usage} or Error{device_missing}.
ChosenDevices open_chosen_devices(const cli::Arguments& arguments, int threads);

/// Opens the one device that they choose. Throws Error{usage} where they choose several.
std::unique_ptr<Device> open_asked_device(const cli::Arguments& arguments, int threads);

/// Throws Error{usage} where -ngl leaves some of a model's layers to the CPU.
void refuse_split_layers(const cli::Arguments& arguments, std::int64_t layers);

/// Where a model goes on chosen devices, and what that takes.
struct PlacedModel {
  Placement placement;
  std::vector<MemoryPlan> memory;  ///< by part
  std::string note;                ///< why layers are on the CPU that were not asked to be; or ""
};

/// Places the layers as asked. Where the CPU may compute layers and their number is open, as many
/// go to the GPUs as fit there, all others to the CPU, which `note` says. Throws what planning
/// throws; memory that is short is not an error here.
PlacedModel place_model(const Model& model, const ChosenDevices& chosen,
                        const RunnerOptions& options);

}  // namespace strata::apps
