#include "backends/simt/matmul/gemm_weights.h"

namespace strata::STRATA_SIMT {

void launch_gemm_bf16_codes(Stream& stream, const MatmulJob& job, int lanes) {
  switch (job.type) {
    case DType::IQ4_NL:
      return launch_gemm<PlaneWeights<CodecIQ4_NL>>(stream, job, lanes);
    case DType::IQ4_XS:
      return launch_gemm<PlaneWeights<CodecIQ4_XS>>(stream, job, lanes);
    case DType::MXFP4:
      return launch_gemm<PlaneWeights<CodecMXFP4>>(stream, job, lanes);
    default:
      return;
  }
}

}  // namespace strata::STRATA_SIMT
