#include "backends/simt/matmul/gemm_weights.h"

namespace strata::STRATA_SIMT {

void launch_gemm_bf16_4(Stream& stream, const MatmulJob& job, int lanes) {
  switch (job.type) {
    case DType::Q4_0:
      return launch_gemm<PlaneWeights<CodecQ4_0>>(stream, job, lanes);
    case DType::Q4_1:
      return launch_gemm<PlaneWeights<CodecQ4_1>>(stream, job, lanes);
    case DType::Q8_0:
      return launch_gemm<PlaneWeights<CodecQ8_0>>(stream, job, lanes);
    default:
      return;
  }
}

}  // namespace strata::STRATA_SIMT
