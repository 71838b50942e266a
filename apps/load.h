#pragma once

#include <memory>

#include "apps/cli/arguments.h"
#include "apps/console.h"
#include "apps/devices.h"
#include "runtime/engine/runner.h"

namespace strata::apps {

/// Opens the model that -m or the first positional names. Throws Error{usage} when neither does.
std::shared_ptr<const ModelFile> open_model_file(const cli::Arguments& arguments);

/// A model opened, checked and planned, with nothing loaded yet.
struct PlannedModel {
  ChosenDevices chosen;
  std::shared_ptr<const Model> model;
  RunnerOptions options;  ///< the context is resolved
  PlacedModel placed;
  MemoryPlan memory;             ///< of all parts together
  bool context_was_cut = false;  ///< the trained context did not fit, and none was asked for

  /// The device that makes the logits: the only one, or the last of several.
  Device& device() const { return *placed.placement.back().device; }
  /// Bytes that a part is short of on its device; 0: it fits.
  std::uint64_t missing(std::size_t part) const {
    return placed.memory[part].missing(placed.placement[part].device->memory().free);
  }
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
