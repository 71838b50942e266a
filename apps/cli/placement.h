#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "runtime/core/device.h"

namespace strata::cli {

/// A device as --device names it: "cuda:1", "cpu", or as llama.cpp does: "CUDA1", "CPU", "none"
/// (the CPU). Empty where the text names none.
std::optional<DeviceId> device_named(std::string_view word);

/// What the user says about where to compute, as written.
struct PlacementWish {
  std::string device;      ///< --device: "cuda:0,cpu", also as llama.cpp writes it; may be empty
  std::string gpu_layers;  ///< -ngl: a number, "auto", "all", or empty
  std::optional<std::int64_t> main_gpu;  ///< --main-gpu
};

/// The devices that compute a model's layers.
struct Placement {
  std::vector<DeviceId> devices;  ///< never empty, each once
  /// So many of the layers on the GPUs, the others on the CPU; empty: no such limit.
  std::optional<std::int64_t> gpu_layers;
  bool must_fit = false;  ///< -ngl says who computes what: nothing is streamed to a GPU
  /// The CPU may compute layers that were not asked to be there: no device was named, or the CPU
  /// is among them, or -ngl auto.
  bool cpu_may_help = false;
};

/// Lists the devices that are there (registry.h); asked only where the wish leaves something open.
using DeviceLister = std::function<std::vector<DeviceInfo>()>;

/// -ngl 0 means the CPU alone; else the devices of --device count, in their order; else the first
/// GPU that is not played by the CPU, else the CPU. --main-gpu takes one GPU of these, by its place
/// among them. -ngl auto adds the CPU for the layers that do not fit. Named devices need not be
/// there. Throws Error{usage} for what cannot be read and Error{device_missing} where layers are
/// wanted on a GPU and there is none.
Placement choose_devices(const PlacementWish& wish, const DeviceLister& present);

}  // namespace strata::cli
