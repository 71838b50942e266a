#include "backends/registry.h"

#include <fmt/format.h>

#include <charconv>
#include <optional>
#include <string>

#include "backends/cpu/backend.h"
#include "runtime/core/error.h"

namespace strata {
namespace {

constexpr BackendKind kBackends[] = {BackendKind::cuda, BackendKind::hip, BackendKind::vulkan,
                                     BackendKind::cpu};

// "cuda:1" or "cuda" (index 0); empty when the text names no device of any kind.
std::optional<DeviceId> parse_device(std::string_view name) {
  const std::size_t colon = name.find(':');
  DeviceId id;
  if (colon != std::string_view::npos) {
    const char* end = name.data() + name.size();
    const auto parsed = std::from_chars(name.data() + colon + 1, end, id.index);
    if (parsed.ec != std::errc() || parsed.ptr != end || id.index < 0) return std::nullopt;
  }
  for (BackendKind backend : kBackends) {
    if (backend_name(backend) != name.substr(0, colon)) continue;
    id.backend = backend;
    return id;
  }
  return std::nullopt;
}

std::string names_present(const DeviceOptions& options) {
  std::string names;
  for (const DeviceInfo& info : list_devices(options))
    names += (names.empty() ? "" : ", ") + to_string(info.id);
  return names;
}

}  // namespace

std::vector<BackendStatus> backend_statuses() {
  std::vector<BackendStatus> statuses;
  for (BackendKind backend : kBackends) {
    const bool usable = backend == BackendKind::cpu;
    statuses.push_back({backend, usable, usable ? "" : "not in this build"});
  }
  return statuses;
}

std::vector<DeviceInfo> list_devices(const DeviceOptions& options) {
  return {cpu::open_device(options.cpu_threads, options.cpu_batch_threads)->info()};
}

std::unique_ptr<Device> open_device(std::string_view name, const DeviceOptions& options) {
  const std::optional<DeviceId> id = parse_device(name);
  if (!id)
    throw Error(ErrorCode::usage, "device", fmt::format("\"{}\" is not the name of a device", name),
                fmt::format("there are: {}", names_present(options)));
  if (*id == DeviceId{BackendKind::cpu, 0})
    return cpu::open_device(options.cpu_threads, options.cpu_batch_threads);
  std::string why = "there is only one CPU device";
  for (const BackendStatus& status : backend_statuses())
    if (status.backend == id->backend && !status.usable)
      why = fmt::format("the {} backend is {}", backend_name(status.backend), status.reason);
  throw Error(ErrorCode::device_missing, to_string(*id), why,
              fmt::format("there are: {}", names_present(options)));
}

Ceilings measure_ceilings(Device& device) {
  return device.info().id.backend == BackendKind::cpu ? cpu::measure_ceilings(device) : Ceilings{};
}

}  // namespace strata
