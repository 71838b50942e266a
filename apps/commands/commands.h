#pragma once

#include "apps/cli/arguments.h"
#include "apps/console.h"

namespace strata::apps {

/// The commands. Each returns the exit status, writes its result to standard output and throws
/// Error for what cannot be done.
int run_command(const cli::Arguments& arguments, Console& console);
int inspect_command(const cli::Arguments& arguments, Console& console);
int tokenize_command(const cli::Arguments& arguments, Console& console);
int logits_command(const cli::Arguments& arguments, Console& console);
int perplexity_command(const cli::Arguments& arguments, Console& console);
int devices_command(const cli::Arguments& arguments, Console& console);
int doctor_command(const cli::Arguments& arguments, Console& console);
int plan_command(const cli::Arguments& arguments, Console& console);
int bench_command(const cli::Arguments& arguments, Console& console);
int synth_command(const cli::Arguments& arguments, Console& console);
int completion_command(const cli::Arguments& arguments, Console& console);
int version_command(const cli::Arguments& arguments, Console& console);
int help_command(const cli::Arguments& arguments, Console& console);

}  // namespace strata::apps
