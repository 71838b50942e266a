#pragma once

#include "runtime_api.h"

namespace strata::STRATA_SIMT {

/// Launches a kernel that does nothing: it fails where this build has no code for the device.
void probe(Stream& stream);

}  // namespace strata::STRATA_SIMT
