#pragma once

#include <memory>
#include <string>
#include <vector>

#include "apps/cli/arguments.h"
#include "apps/cli/placement.h"
#include "backends/registry.h"
#include "runtime/engine/runner.h"
#include "runtime/engine/tensor_overrides.h"

namespace strata::apps {

/// The devices that --device, -ngl and --main-gpu choose, opened.
struct ChosenDevices {
  std::vector<std::unique_ptr<Device>>
      devices;                ///< in the order of --device; the CPU is added for -ngl N
  std::vector<Device*> gpus;  ///< of these
  Device* cpu = nullptr;      ///< if it may compute layers
  std::optional<std::int64_t> gpu_layers;  ///< -ngl N
  bool must_fit = false;                   ///< -ngl all or N: nothing is streamed
  bool cpu_may_help = false;               ///< with layers that nobody asked it to compute
  DeviceOptions options;                   ///< that they were opened with

  /// The CPU, opened if it is not among the devices: it looks up embeddings, and computes what the
  /// user puts there by name.
  Device& host();
  /// The chosen device of that name, or the CPU. Throws Error{usage} for another.
  Device& named(const DeviceId& id);
};

/// Opens them, with `threads` threads where one is the CPU (0: all usable CPUs). Throws
/// Error{usage} or Error{device_missing}.
ChosenDevices open_chosen_devices(const cli::Arguments& arguments, int threads);

/// The same where one device is to compute everything. Throws Error{usage} where they choose
/// several.
ChosenDevices open_asked_device(const cli::Arguments& arguments, int threads);

/// Throws Error{usage} where -ngl leaves some of a model's layers to the CPU.
void refuse_split_layers(const cli::Arguments& arguments, std::int64_t layers);

/// What --device-mem and --host-mem allow; 0: what is free.
struct MemoryLimits {
  std::uint64_t device = 0;
  std::uint64_t host = 0;
  bool cpu_is_device = false;  ///< no GPU computes: `device` is for the CPU
};
MemoryLimits asked_limits(const cli::Arguments& arguments, const ChosenDevices& chosen);

/// Bytes that our allocations may take on the device now.
std::uint64_t usable_memory(const Device& device, const MemoryLimits& limits);

/// Where a model goes on chosen devices, and what that takes.
struct PlacedModel {
  Placement placement;
  std::vector<MemoryPlan> memory;  ///< by device, in the order of devices_of()
  std::vector<std::string> notes;  ///< what the user did not ask for: layers that are on the CPU
  std::int64_t gpu_layers = 0;     ///< of -ngl N, before -ot moves any; of no meaning for a stream
};

/// Whether all of it finds room.
bool fits(const PlacedModel& placed, const MemoryLimits& limits);
/// Bytes that the device is short of for `need`; 0: it fits.
std::uint64_t missing_on(const Device& device, MemoryPlan need, const MemoryLimits& limits);

/// Places all weights in memory, as asked. Where the CPU may compute layers, nothing is streamed
/// and their number is open, as many go to the GPUs as fit there, all others to the CPU, which
/// `notes` say. Throws what planning throws; memory that is short is not an error here.
PlacedModel place_resident(const Model& model, ChosenDevices& chosen, const RunnerOptions& options,
                           const OverriddenLayers& overridden, const MemoryLimits& limits);

}  // namespace strata::apps
