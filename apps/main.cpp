// strata: the command line. Every command is a function in apps/commands/; the options of all of
// them stand in apps/cli/options.def.
#include <csignal>
#include <new>
#include <string>
#include <vector>

#include "apps/commands/commands.h"

namespace strata::apps {
namespace {

using CommandFunction = int (*)(const cli::Arguments&, Console&);

constexpr CommandFunction kCommands[] = {
#define STRATA_COMMAND(id, positional, most_positional, summary) &id##_command,
#include "apps/cli/commands.def"
#undef STRATA_COMMAND
};

int dispatch(const std::vector<std::string>& words) {
  const cli::Arguments arguments = cli::parse(words);
  Console console(arguments);
  if (arguments.flag(cli::OptionId::help)) return help_command(arguments, console);
  return kCommands[static_cast<std::size_t>(arguments.command())](arguments, console);
}

int fail(const Error& error, bool json) {
  print_error(error, json);
  return error_class(error.code()).exit_status;
}

}  // namespace
}  // namespace strata::apps

int main(int count, char** words_of_main) {
  using namespace strata;
  std::signal(SIGPIPE, SIG_IGN);  // a closed pipe is an error of the write that meets it
  const std::vector<std::string> words(words_of_main + (count > 0 ? 1 : 0), words_of_main + count);
  const bool json = cli::wants_json_errors(words);
  try {
    return apps::dispatch(words);
  } catch (const Error& error) {
    return apps::fail(error, json);
  } catch (const std::bad_alloc&) {
    return apps::fail(Error(ErrorCode::out_of_memory, "host memory", "is exhausted"), json);
  } catch (const std::exception& error) {
    return apps::fail(Error(ErrorCode::runtime, "strata", error.what()), json);
  }
}
