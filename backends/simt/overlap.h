#pragma once

#include "platform.h"

namespace strata::STRATA_SIMT {

/// First in a kernel that launch_overlapped() starts: waits for what came before, so that only the
/// launch itself was ahead of time, and lets the next kernel come in turn.
STRATA_DEVICE void take_turn() {
  wait_for_previous();
  let_next_start();
}

}  // namespace strata::STRATA_SIMT
