#pragma once

#include "platform.h"

namespace strata::STRATA_SIMT {

/// Whether this block is the last of `count` that come here with this ticket (of tickets_of()); it
/// sees what the others wrote before they came. What it does then is done in a fixed order,
/// whichever block it is. All threads of the block call it; `shared` is an int of their own.
STRATA_DEVICE bool last_of_blocks(unsigned* ticket, int count, int* shared) {
  sync_device();
  sync_block();
  if (thread_x() == 0) {
    const bool is_last = count_up(ticket) == static_cast<unsigned>(count - 1);
    *shared = is_last ? 1 : 0;
    if (is_last) *ticket = 0;  // for the next kernel
  }
  sync_block();
  if (*shared == 0) return false;
  sync_device();
  return true;
}

}  // namespace strata::STRATA_SIMT
