#include "backends/simt/matmul/gemm_weights.h"

namespace strata::STRATA_SIMT {

void launch_gemm_bf16_k4(Stream& stream, const MatmulJob& job, int lanes) {
  switch (job.type) {
    case DType::Q4_K:
      return launch_gemm<PlaneWeights<CodecQ4_K>>(stream, job, lanes);
    case DType::Q5_K:
      return launch_gemm<PlaneWeights<CodecQ5_K>>(stream, job, lanes);
    case DType::Q6_K:
      return launch_gemm<PlaneWeights<CodecQ6_K>>(stream, job, lanes);
    default:
      return;
  }
}

}  // namespace strata::STRATA_SIMT
