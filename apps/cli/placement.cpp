#include "apps/cli/placement.h"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>

#include "apps/cli/values.h"
#include "runtime/core/error.h"

namespace strata::cli {
namespace {

constexpr DeviceId kCpu{BackendKind::cpu, 0};

bool is_gpu(const DeviceId& id) { return id.backend != BackendKind::cpu; }

// llama.cpp's names: CUDA0, ROCm1, Vulkan0, CPU, and "none" for no GPU. Others stay as they are.
std::string our_name(std::string_view word) {
  if (same_word(word, "none") || same_word(word, "CPU")) return "cpu";
  constexpr std::pair<std::string_view, std::string_view> kNames[] = {
      {"CUDA", "cuda"}, {"ROCm", "hip"}, {"HIP", "hip"}, {"Vulkan", "vulkan"}};
  for (const auto& [theirs, ours] : kNames) {
    if (!word.starts_with(theirs)) continue;
    const std::string_view number = word.substr(theirs.size());
    if (parse_integer(number) && number.front() != '-') return fmt::format("{}:{}", ours, number);
  }
  return std::string(word);
}

std::string names_of(const std::vector<DeviceId>& devices) {
  std::string names;
  for (const DeviceId& id : devices) names += (names.empty() ? "" : ", ") + to_string(id);
  return names.empty() ? "none" : names;
}

std::vector<DeviceId> named_devices(const std::string& text, const DeviceLister& present) {
  std::vector<DeviceId> devices;
  for (std::size_t at = 0; at <= text.size();) {
    const std::size_t comma = std::min(text.find(',', at), text.size());
    const std::string word = text.substr(at, comma - at);
    at = comma + 1;
    const std::optional<DeviceId> id = device_named(word);
    if (!id) {
      std::vector<DeviceId> there;
      for (const DeviceInfo& info : present()) there.push_back(info.id);
      throw Error(ErrorCode::usage, "--device",
                  fmt::format("\"{}\" is not the name of a device", word),
                  "there are: " + names_of(there));
    }
    if (std::find(devices.begin(), devices.end(), *id) != devices.end())
      throw Error(ErrorCode::usage, "--device", fmt::format("names {} twice", to_string(*id)));
    devices.push_back(*id);
  }
  return devices;
}

// Only the GPU at that place of the list stays, and the CPU if it is there.
std::vector<DeviceId> with_main_gpu(const std::vector<DeviceId>& devices, std::int64_t main_gpu) {
  std::vector<DeviceId> gpus;
  std::copy_if(devices.begin(), devices.end(), std::back_inserter(gpus), is_gpu);
  if (main_gpu < 0 || main_gpu >= static_cast<std::int64_t>(gpus.size()))
    throw Error(ErrorCode::device_missing, "--main-gpu",
                fmt::format("asks for GPU {}, and there are {}", main_gpu, gpus.size()),
                "GPUs to choose from, counted from 0: " + names_of(gpus));
  std::vector<DeviceId> chosen = {gpus[static_cast<std::size_t>(main_gpu)]};
  if (std::find(devices.begin(), devices.end(), kCpu) != devices.end()) chosen.push_back(kCpu);
  return chosen;
}

// Without --device: one GPU, or none.
std::vector<DeviceId> standard_gpu(const PlacementWish& wish, const DeviceLister& present) {
  std::vector<DeviceId> all, real;
  for (const DeviceInfo& info : present()) {
    if (!is_gpu(info.id)) continue;
    all.push_back(info.id);
    if (!info.software) real.push_back(info.id);
  }
  if (wish.main_gpu) return with_main_gpu(all, *wish.main_gpu);
  if (!real.empty()) real.resize(1);
  return real;
}

// -ngl: empty for "auto", "all" and nothing.
std::optional<std::int64_t> layer_limit(const std::string& text) {
  if (text.empty() || same_word(text, "auto") || same_word(text, "all")) return std::nullopt;
  const std::optional<std::int64_t> count = parse_integer(text);
  if (!count || *count < -1)
    throw Error(ErrorCode::usage, "-ngl",
                fmt::format("\"{}\" is no number of layers, \"auto\" or \"all\"", text));
  if (*count == -1) return std::nullopt;  // llama.cpp's older "all"
  return count;
}

}  // namespace

std::optional<DeviceId> device_named(std::string_view word) { return device_id_of(our_name(word)); }

Placement choose_devices(const PlacementWish& wish, const DeviceLister& present) {
  Placement placement;
  placement.gpu_layers = layer_limit(wish.gpu_layers);
  if (!wish.device.empty()) {
    placement.devices = named_devices(wish.device, present);
    if (wish.main_gpu) placement.devices = with_main_gpu(placement.devices, *wish.main_gpu);
  } else if (placement.gpu_layers != 0) {
    placement.devices = standard_gpu(wish, present);
  }
  placement.must_fit = !wish.gpu_layers.empty();
  if (placement.gpu_layers == 0) return {{kCpu}, std::nullopt, false, true};

  std::vector<DeviceId>& devices = placement.devices;
  const bool automatic = same_word(wish.gpu_layers, "auto");
  const bool asks_for_gpu = !wish.gpu_layers.empty() && !automatic;
  if (std::none_of(devices.begin(), devices.end(), is_gpu)) {
    if (asks_for_gpu)
      throw Error(ErrorCode::device_missing, "-ngl",
                  fmt::format("asks for {} layers on a GPU, and {}", wish.gpu_layers,
                              wish.device.empty() ? "there is none" : "--device names none"),
                  "leave it out, or -ngl 0; `strata doctor` says what is missing");
    return {{kCpu}, std::nullopt, false, true};
  }
  const bool has_cpu = std::find(devices.begin(), devices.end(), kCpu) != devices.end();
  if (automatic && !has_cpu) devices.push_back(kCpu);
  placement.cpu_may_help = has_cpu || automatic || wish.device.empty();
  return placement;
}

}  // namespace strata::cli
