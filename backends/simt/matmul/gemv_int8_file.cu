#include "backends/simt/matmul/gemv_launch.h"
#include "backends/simt/matmul/int8_math.h"

namespace strata::STRATA_SIMT {

// Two rows a warp: a pair, where the matrices are gated. More rows of x at a time spill.
void launch_gemv_int8_file(Stream& stream, const MatmulJob& job, int lanes) {
  launch_gemv<Int8File, 2, kFewTokens / 2>(stream, job, lanes, job.k / 32);
}

void launch_gemv_int8(Stream& stream, const MatmulJob& job, int lanes) {
  if (!job.planes) return launch_gemv_int8_file(stream, job, lanes);
  if (dtype_blocks_256(job.type)) return launch_gemv_int8_k(stream, job, lanes);
  launch_gemv_int8_32(stream, job, lanes);
}

}  // namespace strata::STRATA_SIMT
