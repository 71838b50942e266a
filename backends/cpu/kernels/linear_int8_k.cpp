// The integer matmuls of the dtypes with blocks of 256.
#include "backends/cpu/kernels/codec_k.h"
#include "backends/cpu/kernels/linear_int8_tile.h"

namespace strata::cpu::STRATA_ISA {

const PanelKernels kernels_q2_k = kernels_of<CodecQ2_K, CodecQ2_KWide>();
const PanelKernels kernels_q3_k = kernels_of<CodecQ3_K, CodecQ3_KWide>();
const PanelKernels kernels_q4_k = kernels_of<CodecQ4_K>();
const PanelKernels kernels_q5_k = kernels_of<CodecQ5_K>();
const PanelKernels kernels_q6_k = kernels_of<CodecQ6_K>();
const PanelKernels kernels_iq4_xs = kernels_of<CodecIQ4_XS>();

}  // namespace strata::cpu::STRATA_ISA
