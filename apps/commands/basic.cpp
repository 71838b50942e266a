// The commands that need no model: help, version, completion, devices.
#include <fmt/format.h>
#include <strata_version.h>

#include <nlohmann/json.hpp>

#include "apps/cli/help.h"
#include "apps/commands/commands.h"
#include "backends/registry.h"
#include "runtime/engine/memory_text.h"

namespace strata::apps {

using cli::OptionId;

int help_command(const cli::Arguments& arguments, Console&) {
  const bool asks_for_help = arguments.command() == cli::Command::help;
  if (!asks_for_help) {
    write_result(cli::command_help(arguments.command()));
    return 0;
  }
  if (arguments.positional().empty()) {
    write_result(cli::general_help());
    return 0;
  }
  const std::string& name = arguments.positional().front();
  const std::optional<cli::Command> command = cli::command_named(name);
  if (!command)
    throw Error(ErrorCode::usage, name, "is no command of strata", "strata --help lists them");
  write_result(cli::command_help(*command));
  return 0;
}

int version_command(const cli::Arguments&, Console&) {
  std::string backends;
  for (const BackendStatus& status : backend_statuses())
    if (status.usable)
      backends += fmt::format("{}{}", backends.empty() ? "" : " ", backend_name(status.backend));
  const std::unique_ptr<Device> cpu = open_device("cpu", {1});
  write_result(fmt::format(
      "strata {} ({})\ncompiler: {}, {}\nsystem: {}\noptions on: {}\nbackends: {}\ncpu kernels: "
      "{} on {}\n",
      version::number, version::commit, version::compiler, version::build_type, version::system,
      version::features, backends, cpu->info().arch, cpu->info().name));
  return 0;
}

int completion_command(const cli::Arguments& arguments, Console&) {
  write_result(
      cli::completion_script(arguments.positional().empty() ? "" : arguments.positional().front()));
  return 0;
}

namespace {

// A ceiling as JSON: null where there is none.
nlohmann::ordered_json rate_json(double rate) {
  return rate > 0 ? nlohmann::ordered_json(rate) : nlohmann::ordered_json();
}

std::string rates_text(const Ceilings& c) {
  std::string text = fmt::format("read {:.1f} GB/s", c.read_bytes_per_second * 1e-9);
  const auto add = [&](const char* name, double rate, const char* unit) {
    if (rate > 0) text += fmt::format(", {} {:.2f} {}", name, rate * 1e-12, unit);
  };
  add("int8", c.int8_ops_per_second, "TOP/s");
  add("bf16", c.bf16_flops_per_second, "TFLOP/s");
  add("f32", c.f32_flops_per_second, "TFLOP/s");
  return text;
}

}  // namespace

int devices_command(const cli::Arguments& arguments, Console&) {
  const DeviceOptions options{static_cast<int>(arguments.integer(OptionId::threads))};
  nlohmann::ordered_json devices = nlohmann::ordered_json::array();
  std::string text;
  for (const DeviceInfo& info : list_devices(options)) {
    const std::unique_ptr<Device> device = open_device(to_string(info.id), options);
    const MemoryUse memory = device->memory();
    const Ceilings ceilings = measure_ceilings(*device);
    devices.push_back({{"id", to_string(info.id)},
                       {"name", info.name},
                       {"arch", info.arch},
                       {"compute_units", info.compute_units},
                       {"lanes", info.lanes},
                       {"unified_memory", info.unified},
                       {"memory_bytes", memory.total},
                       {"free_bytes", memory.free},
                       {"read_bytes_per_second", rate_json(ceilings.read_bytes_per_second)},
                       {"int8_ops_per_second", rate_json(ceilings.int8_ops_per_second)},
                       {"bf16_flops_per_second", rate_json(ceilings.bf16_flops_per_second)},
                       {"f32_flops_per_second", rate_json(ceilings.f32_flops_per_second)}});
    text +=
        fmt::format("{:<8} {} ({}, {} threads)  memory {}, free {}\n{:<8} measured: {}\n",
                    to_string(info.id), info.name, info.arch, info.compute_units,
                    bytes_text(memory.total), bytes_text(memory.free), "", rates_text(ceilings));
  }
  nlohmann::ordered_json backends = nlohmann::ordered_json::array();
  for (const BackendStatus& status : backend_statuses()) {
    backends.push_back({{"backend", backend_name(status.backend)},
                        {"usable", status.usable},
                        {"reason", status.reason}});
    if (!status.usable)
      text += fmt::format("{:<8} not usable: {}\n", backend_name(status.backend), status.reason);
  }
  if (arguments.flag(OptionId::json)) {
    const nlohmann::ordered_json object = {{"devices", devices}, {"backends", backends}};
    text = object.dump(2) + "\n";
  }
  write_result(text);
  return 0;
}

}  // namespace strata::apps
