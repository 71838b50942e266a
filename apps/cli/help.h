#pragma once

#include <string>
#include <string_view>

#include "apps/cli/options.h"

namespace strata::cli {

/// The commands, one line each; what `strata --help` prints. At most 100 columns.
std::string general_help();

/// Usage, then every option of the command by group with default, bounds and environment variable.
/// At most 100 columns.
std::string command_help(Command command);

/// A script for `shell` (bash, zsh or fish) that completes commands, options, choices and files.
/// Throws Error{usage} for another shell, and for an empty text, naming the three.
std::string completion_script(std::string_view shell);

}  // namespace strata::cli
