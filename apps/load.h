#pragma once

#include <memory>

#include "apps/cli/arguments.h"
#include "apps/console.h"
#include "apps/planned_model.h"
#include "runtime/engine/runner.h"

namespace strata::apps {

/// Opens the model that -m or the first positional names. Throws Error{usage} when neither does.
std::shared_ptr<const ModelFile> open_model_file(const cli::Arguments& arguments);

/// Reads the machine and model options (-m -c -ub -t -ctk -ctv --device -ngl --device-mem
/// --host-mem -ot --no-repack --mlock --no-mmap --check-tensors). What does not fit is streamed
/// where the user allows that: then the links are measured, which takes a second. Prints the
/// model's warnings. A model that has no room is no error yet.
PlannedModel plan_model(const cli::Arguments& arguments, Console& console, ContextWish wish);

/// Loads the weights with a progress bar, after printing the plan block. Where a device refuses
/// memory that a stream was planned with, the plan becomes smaller, saying so. Throws
/// Error{does_not_fit}, Error{out_of_memory} and what Runner throws.
std::unique_ptr<Runner> load_runner(PlannedModel& planned, Console& console);

/// The Runner that goes on after the planned one lost its GPU: on the CPU alone, where that was
/// left open; else null. Silent, as it is the engine's thread that asks. Throws as load_placed()
/// does.
std::unique_ptr<Runner> load_in_place_of_lost(PlannedModel& planned, const Error& lost);

/// What load_runner() does, without a word but for progress, and without another plan.
std::unique_ptr<Runner> load_placed(const PlannedModel& planned, Console& console);

/// The lines that say what goes where: model, device.
std::string plan_block(const PlannedModel& planned);

/// "Q4_K - 24, F32 - 9": the file's tensor types, most bytes first.
std::string model_type_text(const ModelFile& file);

}  // namespace strata::apps
