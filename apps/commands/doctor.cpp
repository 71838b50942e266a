// strata doctor: what can be used here, and what is in the way of the rest. It asks everything and
// fails for nothing.
#include <fmt/format.h>
#include <strata_version.h>

#include <nlohmann/json.hpp>

#include "apps/cli/placement.h"
#include "apps/commands/commands.h"
#include "apps/commands/product_paths.h"
#include "backends/registry.h"
#include "runtime/engine/memory_text.h"

namespace strata::apps {
namespace {

using cli::OptionId;
using Json = nlohmann::ordered_json;

// A backend with its devices, each opened once: a driver may list what it cannot give.
struct Finding {
  BackendBuild build;
  BackendStatus status;
  std::vector<LibraryStatus> libraries;
  std::vector<Json> devices;
  std::vector<ProductPaths> paths;  ///< of each device
};

Json try_device(const DeviceInfo& info, const ProductPaths& paths, const DeviceOptions& options) {
  Json device = {{"id", to_string(info.id)},
                 {"name", info.name},
                 {"arch", info.arch},
                 {"driver", info.driver},
                 {"software", info.software}};
  device.update(paths_json(paths));
  try {
    const MemoryUse memory = open_device(to_string(info.id), options)->memory();
    device["memory_bytes"] = memory.total;
    device["free_bytes"] = memory.free;
    device["error"] = Json();
  } catch (const std::exception& error) {
    device["error"] = error.what();
  }
  return device;
}

std::vector<Finding> examine(const DeviceOptions& options, const std::vector<DeviceInfo>& present) {
  const std::vector<BackendBuild> builds = backend_builds();
  const std::vector<BackendStatus> statuses = backend_statuses();
  std::vector<Finding> findings;
  for (std::size_t i = 0; i < builds.size(); ++i) {
    Finding finding{builds[i], statuses[i], {}, {}, {}};
    if (builds[i].built) finding.libraries = library_statuses(builds[i].backend);
    for (const DeviceInfo& info : present) {
      if (info.id.backend != builds[i].backend) continue;
      finding.paths.push_back(product_paths(info.id));
      finding.devices.push_back(try_device(info, finding.paths.back(), options));
    }
    findings.push_back(std::move(finding));
  }
  return findings;
}

Json as_json(const LibraryStatus& library) {
  return {{"name", library.name},      {"found", library.found},     {"version", library.version},
          {"reason", library.why_not}, {"purpose", library.purpose}, {"hint", library.hint}};
}

std::string as_text(const LibraryStatus& library) {
  if (library.found)
    return fmt::format("         {} {}: {}\n", library.name,
                       library.version.empty() ? "found" : library.version, library.purpose);
  return fmt::format("         {} not found: {}\n           {}\n           try: {}\n", library.name,
                     library.why_not, library.purpose, library.hint);
}

Json as_json(const Finding& finding) {
  Json libraries = Json::array();
  for (const LibraryStatus& library : finding.libraries) libraries.push_back(as_json(library));
  return {{"backend", backend_name(finding.build.backend)},
          {"built", finding.build.built},
          {"toolkit", finding.build.toolkit},
          {"usable", finding.status.usable},
          {"reason", finding.status.reason},
          {"hint", finding.status.hint},
          {"versions", finding.status.versions},
          {"libraries", libraries},
          {"devices", finding.devices}};
}

std::string device_text(const Json& device) {
  std::string text =
      fmt::format("         {}  {} ({})", device.at("id").get<std::string>(),
                  device.at("name").get<std::string>(), device.at("arch").get<std::string>());
  const std::string driver = device.at("driver");
  if (!driver.empty()) text += ", " + driver;
  if (!device.at("error").is_null())
    return text + ", cannot be opened: " + device.at("error").get<std::string>() + "\n";
  text += fmt::format(", memory {}, free {}", bytes_text(device.at("memory_bytes")),
                      bytes_text(device.at("free_bytes")));
  if (device.at("software")) text += ", played by the CPU";
  return text + "\n";
}

std::string as_text(const Finding& finding) {
  const BackendStatus& status = finding.status;
  std::string text = fmt::format("{:<8} {}", backend_name(finding.build.backend),
                                 status.usable ? "usable" : "not usable: " + status.reason);
  if (!status.versions.empty()) text += fmt::format(" ({})", status.versions);
  text += "\n";
  if (!status.hint.empty()) text += fmt::format("         try: {}\n", status.hint);
  if (finding.build.built) text += fmt::format("         built with {}\n", finding.build.toolkit);
  for (const LibraryStatus& library : finding.libraries) text += as_text(library);
  for (std::size_t i = 0; i < finding.devices.size(); ++i)
    text += device_text(finding.devices[i]) + paths_text(finding.paths[i]);
  return text;
}

}  // namespace

int doctor_command(const cli::Arguments& arguments, Console&) {
  const DeviceOptions options{static_cast<int>(arguments.integer(OptionId::threads))};
  const std::vector<DeviceInfo> present = list_devices(options);
  const std::string standard =
      to_string(cli::choose_devices({}, [&] { return present; }).devices.front());
  std::string text = fmt::format("strata {} ({}), {}, {}, {}\n", version::number, version::commit,
                                 version::compiler, version::build_type, version::system);
  Json backends = Json::array();
  for (const Finding& finding : examine(options, present)) {
    backends.push_back(as_json(finding));
    text += as_text(finding);
  }
  const std::vector<std::string> refused = refused_devices();
  for (const std::string& line : refused) text += fmt::format("refused  {}\n", line);
  text += fmt::format("Without --device, {} is used.\n", standard);
  if (arguments.flag(OptionId::json))
    text = Json{{"version", version::number},    {"commit", version::commit},
                {"compiler", version::compiler}, {"system", version::system},
                {"backends", backends},          {"refused", refused},
                {"default_device", standard}}
               .dump(2) +
           "\n";
  write_result(text);
  return 0;
}

}  // namespace strata::apps
