#pragma once

#include "backends/simt/matmul/job.h"

namespace strata::STRATA_SIMT {

/// Writes rows [first, first + rows) of the job's first matrix (of w_up with `up`) as bf16, dense
/// rows of job.k columns, rounded as the tiles of gemm_bf16.h round them. F16, BF16 and block types
/// in both layouts; job.k is a multiple of 8, `to` is 16-byte aligned.
void launch_widen(Stream& stream, const MatmulJob& job, bool up, int first, int rows,
                  std::byte* to);

}  // namespace strata::STRATA_SIMT
