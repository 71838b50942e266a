#pragma once

namespace strata::simt_host {

/// Saves the callee-saved registers on the running stack, stores its stack pointer in *save and
/// goes on where `load` was saved. No system call, unlike swapcontext, which keeps signal masks.
extern "C" void strata_fiber_switch(void** save, void* load);

/// The stack pointer of a fiber that has not run yet: its first switch calls `entry`, which never
/// returns, on the stack that ends at `top` (16-byte aligned).
void* fresh_fiber(void* top, void (*entry)());

}  // namespace strata::simt_host
