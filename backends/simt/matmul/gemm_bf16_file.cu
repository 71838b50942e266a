#include "backends/simt/matmul/gemm_weights.h"

namespace strata::STRATA_SIMT {

// Flat tiles alone: it is slow anyway.
void launch_gemm_bf16_file(Stream& stream, const MatmulJob& job, int lanes) {
  launch_gemm_tile<FileWeights, FlatTile>(stream, job, lanes);
}

}  // namespace strata::STRATA_SIMT
