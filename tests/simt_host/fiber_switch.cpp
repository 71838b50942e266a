#include "tests/simt_host/fiber_switch.h"

#include <cstdint>

#if defined(__x86_64__)
// rbx, rbp, r12 to r15: what the System V ABI has a callee keep. The kernels leave MXCSR alone.
asm(R"(
  .text
  .globl strata_fiber_switch
  .type strata_fiber_switch, @function
strata_fiber_switch:
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  ret
  .size strata_fiber_switch, . - strata_fiber_switch
)");
#elif defined(__aarch64__)
// x19 to x30 and d8 to d15.
asm(R"(
  .text
  .globl strata_fiber_switch
  .type strata_fiber_switch, %function
strata_fiber_switch:
  sub sp, sp, #160
  stp x19, x20, [sp, #0]
  stp x21, x22, [sp, #16]
  stp x23, x24, [sp, #32]
  stp x25, x26, [sp, #48]
  stp x27, x28, [sp, #64]
  stp x29, x30, [sp, #80]
  stp d8, d9, [sp, #96]
  stp d10, d11, [sp, #112]
  stp d12, d13, [sp, #128]
  stp d14, d15, [sp, #144]
  mov x9, sp
  str x9, [x0]
  mov sp, x1
  ldp x19, x20, [sp, #0]
  ldp x21, x22, [sp, #16]
  ldp x23, x24, [sp, #32]
  ldp x25, x26, [sp, #48]
  ldp x27, x28, [sp, #64]
  ldp x29, x30, [sp, #80]
  ldp d8, d9, [sp, #96]
  ldp d10, d11, [sp, #112]
  ldp d12, d13, [sp, #128]
  ldp d14, d15, [sp, #144]
  add sp, sp, #160
  ret
  .size strata_fiber_switch, . - strata_fiber_switch
)");
#else
#error "simt-host knows how to switch stacks on x86-64 and aarch64 only"
#endif

namespace strata::simt_host {

void* fresh_fiber(void* top, void (*entry)()) {
  auto* slots = static_cast<std::uintptr_t*>(top);
#if defined(__x86_64__)
  // As after a call: at entry the stack is 8 bytes off 16, with a return address of 0 above.
  *--slots = 0;
  *--slots = reinterpret_cast<std::uintptr_t>(entry);
  for (int i = 0; i < 6; ++i) *--slots = 0;
#else
  slots -= 20;
  for (int i = 0; i < 20; ++i) slots[i] = 0;
  slots[11] = reinterpret_cast<std::uintptr_t>(entry);  // x30
#endif
  return slots;
}

}  // namespace strata::simt_host
