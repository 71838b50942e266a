#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace strata::cli {

/// The commands, from commands.def.
enum class Command : std::uint8_t {
#define STRATA_COMMAND(id, positional, most_positional, summary) id,
#include "apps/cli/commands.def"
#undef STRATA_COMMAND
};

/// One row of commands.def.
struct CommandInfo {
  Command command;
  std::string_view name;
  std::string_view positional;  ///< as the usage line shows it
  std::size_t most_positional;
  std::string_view summary;
};

/// The options, from options.def.
enum class OptionId : std::uint8_t {
#define STRATA_OPTION(id, kind, names, off_names, metavar, standard, least, most, choices, \
                      environment, commands, group, help)                                  \
  id,
#include "apps/cli/options.def"
#undef STRATA_OPTION
};

/// What an option takes: nothing, a number, a text, or several of them. Lists have commas between;
/// given again, an option of the kinds from ranges on adds to its list.
enum class ValueKind : std::uint8_t {
  flag,
  integer,
  number,
  bytes,  ///< 600MiB
  text,
  path,
  choice,
  integers,
  ranges,  ///< whole numbers, also as 1-4, 8-64+8 or 8-64*2
  texts,   ///< one each time, commas and all
  choices,
  paths
};

/// Whether values of this kind come from OptionInfo::choices.
constexpr bool has_choices(ValueKind kind) {
  return kind == ValueKind::choice || kind == ValueKind::choices;
}

/// The headings of --help, in its order.
enum class OptionGroup : std::uint8_t {
  input,
  generation,
  sampling,
  machine,
  output,
  general,
  llama
};

/// One row of options.def, its lists split. Views into the table: they live as long as the program.
struct OptionInfo {
  OptionId id;
  ValueKind kind;
  std::vector<std::string_view> names;      ///< every spelling, aliases last
  std::vector<std::string_view> off_names;  ///< spellings that switch a flag off
  std::string_view long_name;               ///< the preferred spelling
  std::string_view metavar;                 ///< what the value is called, "N"
  std::string_view standard;                ///< the default, empty if there is none
  std::int64_t least_integer, most_integer;
  double least_number, most_number;
  std::vector<std::string_view> choices;
  std::string environment;  ///< "STRATA_CTX_SIZE", or empty
  std::uint32_t commands;   ///< bit i: Command i takes it
  OptionGroup group;
  std::string_view help;

  bool taken_by(Command command) const {
    return (commands >> static_cast<unsigned>(command) & 1u) != 0;
  }
};

/// All commands, all options (in the order of their ids), and single rows.
std::span<const CommandInfo> commands();
std::span<const OptionInfo> options();
const CommandInfo& command_info(Command command);
const OptionInfo& option_info(OptionId id);

/// The command of that name; empty when unknown.
std::optional<Command> command_named(std::string_view name);

/// An option by one of its spellings.
struct FoundOption {
  const OptionInfo* option;
  bool off;  ///< the spelling switches it off
};

/// The option of `command` that is spelled `name`, with "_" taken for "-" as llama.cpp does; empty
/// when the command has none.
std::optional<FoundOption> option_named(Command command, std::string_view name);

/// The environment variable of a long spelling: "--ctx-size" gives "STRATA_CTX_SIZE".
std::string environment_name(std::string_view long_name);

/// The name nearest to `word` by edit distance (swapped neighbours count once); empty if none is
/// near enough to be what was meant.
std::string_view nearest(std::string_view word, std::span<const std::string_view> names);

}  // namespace strata::cli
