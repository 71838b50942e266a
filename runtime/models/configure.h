#pragma once

#include "runtime/models/architecture.h"
#include "runtime/models/key_reader.h"

namespace strata {

/// Reads and checks the hyper-parameters of `architecture`. The vocabulary's size is not a
/// hyper-parameter of every file: the caller sets `vocab`. Throws Error{bad_model}.
ModelConfig read_config(const Architecture& architecture, const KeyReader& keys);

}  // namespace strata
