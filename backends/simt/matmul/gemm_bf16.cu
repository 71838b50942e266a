#include "backends/simt/matmul/gemm_weights.h"

namespace strata::STRATA_SIMT {

void launch_gemm_bf16(Stream& stream, const MatmulJob& job, int lanes) {
  if (job.type == DType::F16) return launch_gemm<HalfWeights<DType::F16>>(stream, job, lanes);
  if (job.type == DType::BF16) return launch_gemm<HalfWeights<DType::BF16>>(stream, job, lanes);
  if (!job.planes) return launch_gemm<FileWeights>(stream, job, lanes);
  if (dtype_blocks_256(job.type)) return launch_gemm_bf16_k(stream, job, lanes);
  launch_gemm_bf16_32(stream, job, lanes);
}

}  // namespace strata::STRATA_SIMT
