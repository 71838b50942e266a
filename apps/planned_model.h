#pragma once

#include <memory>
#include <optional>

#include "apps/residency.h"
#include "runtime/core/error.h"

namespace strata::apps {

/// What the caller needs of the context where the user does not say.
struct ContextWish {
  std::int64_t standard = 0;  ///< tokens when -c is not given; 0: what the model was trained for
  std::int64_t at_least = 0;  ///< tokens that must fit, whatever the default
};

/// A model opened, checked and planned, with nothing loaded yet.
struct PlannedModel {
  std::shared_ptr<const Model> model;
  ChosenDevices chosen;

  // What is asked for.
  RunnerOptions options;  ///< what find_room() leaves is what fits
  MemoryLimits limits;
  OverriddenLayers overridden;
  ContextWish wish;
  bool context_asked = false;
  bool max_tokens_asked = false;

  // What find_room() found.
  PlacedModel placed;
  MemoryPlan memory;                   ///< of all devices together
  bool context_was_cut = false;        ///< the trained context did not fit, and none was asked for
  std::optional<Residency> residency;  ///< where not all of it fits: how it streams
  std::optional<Error> no_room;        ///< what loading it throws: no plan fits

  /// The device that makes the logits: the only one, or the last of several.
  Device& device() const { return *placed.placement.back().device; }
  /// The devices that compute, in the order of placed.memory.
  std::vector<Device*> devices() const { return devices_of(placed.placement); }
  /// Bytes that the i-th of them is short of; 0: it fits.
  std::uint64_t missing(std::size_t i) const {
    MemoryPlan need = placed.memory[i];
    // What streams leaves only embeddings in the mapping, of which a few pages are in use.
    if (residency) need.weights_mapped = 0;
    return missing_on(*devices()[i], need, limits);
  }
};

/// Finds room for the model on its devices: in memory as a whole, with less context than the model
/// was trained for if nobody asked for one, or, where -ngl leaves it open, as a stream; on the CPU
/// alone if the chosen GPU cannot hold even that and no other device was asked for. Measures links,
/// which takes a second or two, where it streams. A model that has no room is no error yet.
void find_room(PlannedModel& planned);

/// The same after a device refused memory that the last plan counted on. False: there is nothing
/// smaller to try.
bool find_smaller_room(PlannedModel& planned);

/// Plans for the CPU alone after a GPU was lost. False where the user did not leave that open.
bool leave_lost_device(PlannedModel& planned, const Error& lost);

}  // namespace strata::apps
