// The commands that need no model and no device: help, version, completion.
#include <fmt/format.h>
#include <strata_version.h>

#include "apps/cli/help.h"
#include "apps/commands/commands.h"
#include "backends/registry.h"

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
  for (const BackendBuild& build : backend_builds())
    if (build.built)
      backends += fmt::format("{}{}", backends.empty() ? "" : " ", backend_name(build.backend));
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

}  // namespace strata::apps
