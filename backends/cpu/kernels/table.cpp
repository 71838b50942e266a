#include "backends/cpu/kernels/isa.h"
#include "backends/cpu/kernels/simd.h"

#define STRATA_TEXT_OF(macro) #macro
#define STRATA_TEXT(macro) STRATA_TEXT_OF(macro)

namespace strata::cpu::STRATA_ISA {

static const Kernels table = {
    STRATA_TEXT(STRATA_ISA),
    kLanes,
#define STRATA_KERNEL(name, parameters) name,
#include "backends/cpu/kernels/kernels.def"
#undef STRATA_KERNEL
};

const Kernels& kernels() { return table; }

}  // namespace strata::cpu::STRATA_ISA
