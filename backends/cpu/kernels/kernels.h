#pragma once

#include <cstddef>
#include <cstdint>

#include "backends/cpu/kernels/attention_task.h"
#include "backends/cpu/kernels/linear_task.h"
#include "runtime/core/dtype.h"

namespace strata::cpu {

/// One ISA variant's functions, one member per line of kernels.def.
struct Kernels {
  const char* isa;  ///< "baseline", "avx2", "avx512bf16", "neon_i8mm"
  int lanes;        ///< f32 elements of a vector register
#define STRATA_KERNEL(name, parameters) void(*name) parameters;
#include "backends/cpu/kernels/kernels.def"
#undef STRATA_KERNEL
};

/// A variant and whether this CPU runs it.
struct IsaVariant {
  const char* name;
  bool supported;
  const Kernels& (*kernels)();
};

/// All variants that were built, best first.
const IsaVariant* isa_variants(std::size_t* count);

/// The variant of this name, or the best supported one for null or "". Throws Error{usage} for an
/// unknown name and Error{device_missing} for one that this CPU cannot run, naming those it can.
const Kernels& select_kernels(const char* name);

}  // namespace strata::cpu
