// Matmul of BF16 weights with bf16 activations.
#include "backends/cpu/kernels/linear_float.h"

namespace strata::cpu::STRATA_ISA {

// Rows [begin, end) of w (BF16, in the file's rows), all rows of x (Layout::rounded). Products of
// bf16 are exact in f32. `scratch` holds kFloatScratchBytes from kFloatPanelTokens tokens on.
void linear_bf16(const LinearTask& task, std::int64_t begin, std::int64_t end, std::byte* scratch) {
  run_in_place<FloatKind::bf16_by_bf16>(task, begin, end, scratch);
}

}  // namespace strata::cpu::STRATA_ISA
