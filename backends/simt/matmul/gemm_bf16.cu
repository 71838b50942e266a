#include "backends/simt/matmul/gemm_weights.h"

namespace strata::STRATA_SIMT {

void launch_gemm_bf16(Stream& stream, const MatmulJob& job, int lanes) {
  if (job.type == DType::F16) return launch_gemm<HalfWeights<DType::F16>>(stream, job, lanes);
  if (job.type == DType::BF16) return launch_gemm<HalfWeights<DType::BF16>>(stream, job, lanes);
  if (!job.planes) return launch_gemm_bf16_file(stream, job, lanes);
  switch (job.type) {
    case DType::Q4_0:
    case DType::Q4_1:
    case DType::Q8_0:
      return launch_gemm_bf16_4(stream, job, lanes);
    case DType::Q5_0:
    case DType::Q5_1:
      return launch_gemm_bf16_5(stream, job, lanes);
    case DType::Q2_K:
    case DType::Q3_K:
      return launch_gemm_bf16_k2(stream, job, lanes);
    case DType::Q4_K:
    case DType::Q5_K:
    case DType::Q6_K:
      return launch_gemm_bf16_k4(stream, job, lanes);
    default:
      return launch_gemm_bf16_codes(stream, job, lanes);
  }
}

}  // namespace strata::STRATA_SIMT
