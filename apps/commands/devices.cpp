// strata devices: what is there, and what it can do.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <nlohmann/json.hpp>
#include <optional>

#include "apps/commands/commands.h"
#include "apps/commands/product_paths.h"
#include "backends/registry.h"
#include "runtime/engine/memory_text.h"

namespace strata::apps {
namespace {

using cli::OptionId;
using Json = nlohmann::ordered_json;

// One device as it was found; `trouble` is why it cannot be opened.
struct Found {
  DeviceInfo info;
  MemoryUse memory;
  Ceilings ceilings;
  Telemetry telemetry;  ///< after measuring, when the clocks are those of work
  std::optional<std::uint64_t> used_by_others;
  std::string trouble;
};

Found look_at(const DeviceInfo& info, const DeviceOptions& options, bool measure) {
  Found found{info, {}, {}, {}, {}, {}};
  found.used_by_others = device_telemetry(info.id).memory_used_bytes;  // we have nothing there yet
  try {
    const std::unique_ptr<Device> device = open_device(to_string(info.id), options);
    found.info = device->info();
    found.memory = device->memory();
    if (measure) found.ceilings = measure_ceilings(*device);
  } catch (const Error& error) {
    found.trouble = error.what();
  }
  found.telemetry = device_telemetry(info.id);
  return found;
}

// A ceiling as JSON: null where there is none.
Json rate_json(double rate) { return rate > 0 ? Json(rate) : Json(); }

// What was told, or null.
template <class T>
Json told(const std::optional<T>& value) {
  return value ? Json(*value) : Json();
}

void add_telemetry(const Found& found, Json& device) {
  const Telemetry& t = found.telemetry;
  device.update({{"uuid", told(t.uuid)},
                 {"driver_version", told(t.driver_version)},
                 {"clock_mhz", told(t.clock_mhz)},
                 {"max_clock_mhz", told(t.max_clock_mhz)},
                 {"memory_clock_mhz", told(t.memory_clock_mhz)},
                 {"max_memory_clock_mhz", told(t.max_memory_clock_mhz)},
                 {"power_limit_watts", told(t.power_limit_watts)},
                 {"pcie_generation", told(t.pcie_generation)},
                 {"max_pcie_generation", told(t.max_pcie_generation)},
                 {"pcie_width", told(t.pcie_width)},
                 {"max_pcie_width", told(t.max_pcie_width)},
                 {"used_by_others_bytes", told(found.used_by_others)},
                 {"throttle_reasons", told(t.throttle_reasons)}});
}

Json as_json(const Found& found) {
  const DeviceInfo& info = found.info;
  const Ceilings& c = found.ceilings;
  Json device = {
      {"id", to_string(info.id)},
      {"name", info.name},
      {"arch", info.arch},
      {"driver", info.driver},
      {"software", info.software},
      {"compute_units", info.compute_units},
      {"lanes", info.lanes},
      {"unified_memory", info.unified},
      {"max_operand_bytes", info.max_view_bytes > 0 ? Json(info.max_view_bytes) : Json()},
      {"memory_bytes", found.memory.total},
      {"free_bytes", found.memory.free},
      {"read_bytes_per_second", rate_json(c.read_bytes_per_second)},
      {"int8_ops_per_second", rate_json(c.int8_ops_per_second)},
      {"bf16_flops_per_second", rate_json(c.bf16_flops_per_second)},
      {"f32_flops_per_second", rate_json(c.f32_flops_per_second)},
      {"error", found.trouble.empty() ? Json() : Json(found.trouble)}};
  device.update(paths_json(product_paths(info.id)));
  add_telemetry(found, device);
  return device;
}

// "1980", or "?" where nothing was told.
template <class T>
std::string number_text(const std::optional<T>& value) {
  return value ? fmt::format("{}", *value) : "?";
}

std::string telemetry_text(const Found& found) {
  const Telemetry& t = found.telemetry;
  if (!t.uuid)
    return fmt::format("{:<8} clocks, power limit and PCIe are not known: see strata doctor\n", "");
  std::string text = fmt::format(
      "{:<8} clocks: {} of {} MHz, memory {} of {} MHz; power limit {} W; PCIe {} x{}, at most "
      "{} x{}\n",
      "", number_text(t.clock_mhz), number_text(t.max_clock_mhz), number_text(t.memory_clock_mhz),
      number_text(t.max_memory_clock_mhz), number_text(t.power_limit_watts),
      number_text(t.pcie_generation), number_text(t.pcie_width), number_text(t.max_pcie_generation),
      number_text(t.max_pcie_width));
  if (t.throttle_reasons && !t.throttle_reasons->empty())
    text += fmt::format("{:<8} slowed by: {}\n", "", fmt::join(*t.throttle_reasons, ", "));
  if (found.used_by_others)
    text += fmt::format("{:<8} used by others: {}\n", "", bytes_text(*found.used_by_others));
  return text + fmt::format("{:<8} {}\n", "", *t.uuid);
}

std::string rates_text(const Found& found) {
  const Ceilings& c = found.ceilings;
  const bool is_cpu = found.info.id.backend == BackendKind::cpu;
  std::string text = fmt::format("{} {:.1f} GB/s", is_cpu ? "read" : "copy (read + written)",
                                 c.read_bytes_per_second * 1e-9);
  const auto add = [&](const char* name, double rate, const char* unit) {
    if (rate > 0) text += fmt::format(", {} {:.3g} {}", name, rate * 1e-12, unit);
  };
  add("int8", c.int8_ops_per_second, "TOP/s");
  add("bf16", c.bf16_flops_per_second, "TFLOP/s");
  add("f32", c.f32_flops_per_second, "TFLOP/s");
  return text;
}

std::string as_text(const Found& found, bool measured) {
  const DeviceInfo& info = found.info;
  const bool is_cpu = info.id.backend == BackendKind::cpu;
  std::string text = fmt::format("{:<8} {} ({}, {} {})", to_string(info.id), info.name, info.arch,
                                 info.compute_units, is_cpu ? "threads" : "units");
  if (!found.trouble.empty())
    return fmt::format("{}\n{:<8} cannot be opened: {}\n", text, "", found.trouble);
  text += fmt::format("  memory {}, free {}\n", bytes_text(found.memory.total),
                      bytes_text(found.memory.free));
  if (!info.driver.empty()) text += fmt::format("{:<8} driver: {}\n", "", info.driver);
  std::string limits = fmt::format("{} lanes", info.lanes);
  if (info.max_view_bytes > 0)
    limits += fmt::format(", at most {} in one operand", bytes_text(info.max_view_bytes));
  if (!is_cpu)
    text += fmt::format("{:<8} limits: {}{}\n", "", limits,
                        info.unified ? ", memory shared with the host" : "");
  if (info.software)
    text += fmt::format("{:<8} played by the CPU: used only with --device {}\n", "",
                        to_string(info.id));
  text += paths_text(product_paths(info.id));
  if (info.id.backend == BackendKind::cuda) text += telemetry_text(found);
  if (measured) text += fmt::format("{:<8} measured: {}\n", "", rates_text(found));
  return text;
}

}  // namespace

int devices_command(const cli::Arguments& arguments, Console&) {
  const DeviceOptions options{static_cast<int>(arguments.integer(OptionId::threads))};
  const bool measure = arguments.flag(OptionId::measure);
  Json devices = Json::array(), backends = Json::array(), refused = Json::array();
  std::string text;
  for (const DeviceInfo& info : list_devices(options)) {
    const Found found = look_at(info, options, measure);
    devices.push_back(as_json(found));
    text += as_text(found, measure);
  }
  for (const std::string& line : refused_devices()) {
    refused.push_back(line);
    text += fmt::format("{:<8} {}\n", "refused", line);
  }
  for (const BackendStatus& status : backend_statuses()) {
    backends.push_back({{"backend", backend_name(status.backend)},
                        {"usable", status.usable},
                        {"reason", status.reason}});
    if (!status.usable)
      text += fmt::format("{:<8} not usable: {}\n", backend_name(status.backend), status.reason);
  }
  if (arguments.flag(OptionId::json))
    text = Json{{"devices", devices}, {"refused", refused}, {"backends", backends}}.dump(2) + "\n";
  write_result(text);
  return 0;
}

}  // namespace strata::apps
