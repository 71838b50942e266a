// The integer matmuls of the dtypes with blocks of 32.
#include "backends/cpu/kernels/codec_32.h"
#include "backends/cpu/kernels/linear_int8_tile.h"

namespace strata::cpu::STRATA_ISA {

const PanelKernels kernels_q8_0 = kernels_of<CodecQ8_0>();
const PanelKernels kernels_q4_0 = kernels_of<CodecQ4_0>();
const PanelKernels kernels_q4_1 = kernels_of<CodecQ4_1>();
const PanelKernels kernels_q5_0 = kernels_of<CodecQ5_0>();
const PanelKernels kernels_q5_1 = kernels_of<CodecQ5_1>();
const PanelKernels kernels_iq4_nl = kernels_of<CodecIQ4_NL>();
const PanelKernels kernels_mxfp4 = kernels_of<CodecMXFP4>();

}  // namespace strata::cpu::STRATA_ISA
