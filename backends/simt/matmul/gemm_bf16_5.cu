#include "backends/simt/matmul/gemm_weights.h"

namespace strata::STRATA_SIMT {

void launch_gemm_bf16_5(Stream& stream, const MatmulJob& job, int lanes) {
  switch (job.type) {
    case DType::Q5_0:
      return launch_gemm<PlaneWeights<CodecQ5_0>>(stream, job, lanes);
    case DType::Q5_1:
      return launch_gemm<PlaneWeights<CodecQ5_1>>(stream, job, lanes);
    default:
      return;
  }
}

}  // namespace strata::STRATA_SIMT
