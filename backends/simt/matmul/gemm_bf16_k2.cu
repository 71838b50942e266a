#include "backends/simt/matmul/gemm_weights.h"

namespace strata::STRATA_SIMT {

void launch_gemm_bf16_k2(Stream& stream, const MatmulJob& job, int lanes) {
  switch (job.type) {
    case DType::Q2_K:
      return launch_gemm<PlaneWeights<CodecQ2_K>>(stream, job, lanes);
    case DType::Q3_K:
      return launch_gemm<PlaneWeights<CodecQ3_K>>(stream, job, lanes);
    default:
      return;
  }
}

}  // namespace strata::STRATA_SIMT
