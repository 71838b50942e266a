#include "backends/simt/matmul/gemm_weights.h"

namespace strata::STRATA_SIMT {

void launch_gemm_bf16_32(Stream& stream, const MatmulJob& job, int lanes) {
  switch (job.type) {
    case DType::Q4_0:
      return launch_gemm<PlaneWeights<CodecQ4_0>>(stream, job, lanes);
    case DType::Q4_1:
      return launch_gemm<PlaneWeights<CodecQ4_1>>(stream, job, lanes);
    case DType::Q5_0:
      return launch_gemm<PlaneWeights<CodecQ5_0>>(stream, job, lanes);
    case DType::Q5_1:
      return launch_gemm<PlaneWeights<CodecQ5_1>>(stream, job, lanes);
    case DType::Q8_0:
      return launch_gemm<PlaneWeights<CodecQ8_0>>(stream, job, lanes);
    case DType::IQ4_NL:
      return launch_gemm<PlaneWeights<CodecIQ4_NL>>(stream, job, lanes);
    case DType::MXFP4:
      return launch_gemm<PlaneWeights<CodecMXFP4>>(stream, job, lanes);
    default:
      return;
  }
}

}  // namespace strata::STRATA_SIMT
