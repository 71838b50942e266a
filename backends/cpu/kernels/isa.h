#pragma once

// For the files of this folder only, each of which is compiled once per instruction set into the
// namespace strata::cpu::STRATA_ISA. They must define no inline function or template of external
// linkage: the linker keeps one copy of such a symbol for the whole program, and it may be the one
// compiled for a CPU that is not there. So: no std:: templates, no inline functions of shared
// headers, helpers `static inline` or `static` templates. A test looks for weak symbols.

#include "backends/cpu/kernels/kernels.h"

namespace strata::cpu::STRATA_ISA {

#define STRATA_KERNEL(name, parameters) void name parameters;
#include "backends/cpu/kernels/kernels.def"
#undef STRATA_KERNEL

/// This variant's table.
const Kernels& kernels();

}  // namespace strata::cpu::STRATA_ISA
