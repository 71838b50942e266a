#pragma once

#include <memory>

#include "apps/cli/arguments.h"
#include "apps/cli/placement.h"
#include "apps/console.h"
#include "runtime/core/device.h"
#include "runtime/engine/runner.h"

namespace strata::apps {

/// Opens the model that -m or the first positional names. Throws Error{usage} when neither does.
std::shared_ptr<const ModelFile> open_model_file(const cli::Arguments& arguments);

/// The devices that --device, -ngl and --main-gpu choose (placement.h).
cli::Placement asked_placement(const cli::Arguments& arguments);

/// Opens the device that they choose, with `threads` threads where it is the CPU (0: all usable
/// CPUs). Throws Error{usage} or Error{device_missing}, also where they choose several.
std::unique_ptr<Device> open_asked_device(const cli::Arguments& arguments, int threads);

/// Throws Error{usage} where -ngl puts only some of a model's layers on a GPU.
void refuse_split_layers(const cli::Arguments& arguments, std::int64_t layers);

/// A model opened, checked and planned, with nothing loaded yet.
struct PlannedModel {
  std::unique_ptr<Device> device;
  std::shared_ptr<const Model> model;
  RunnerOptions options;  ///< the context is resolved
  MemoryPlan memory;
  bool context_was_cut = false;  ///< the trained context did not fit, and none was asked for
};

/// What the caller needs of the context where the user does not say.
struct ContextWish {
  std::int64_t standard = 0;  ///< tokens when -c is not given; 0: what the model was trained for
  std::int64_t at_least = 0;  ///< tokens that must fit, whatever the default
};

/// Reads the machine and model options (-m -c -ub -t -ctk -ctv --device --no-repack --mlock
/// --no-mmap --check-tensors). Prints the model's warnings.
PlannedModel plan_model(const cli::Arguments& arguments, Console& console, ContextWish wish);

/// Loads the weights with a progress bar, after printing the plan block.
std::unique_ptr<Runner> load_runner(const PlannedModel& planned, Console& console);

/// The lines that say what goes where: model, device.
std::string plan_block(const PlannedModel& planned);

/// "Q4_K - 24, F32 - 9": the file's tensor types, most bytes first.
std::string model_type_text(const ModelFile& file);

}  // namespace strata::apps
