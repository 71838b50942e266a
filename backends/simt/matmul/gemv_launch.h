#pragma once

#include "backends/simt/matmul/gemv.h"
#include "backends/simt/matmul/launches.h"

namespace strata::STRATA_SIMT {

/// Enqueues gemv<Math, kRows, kTokens> for the whole job.
template <class Math, int kRows, int kTokens>
void launch_gemv(Stream& stream, MatmulJob job, int lanes, int units) {
  const int warps = static_cast<int>(kBlockThreads) / lanes;
  const int slices = gemv_slices(units, lanes, warps, Math::kUnitsPerLane);
  const int columns = warps / slices * (job.gated ? kRows / 2 : kRows);  // of out, of a block
  job.quantized.sharing = static_cast<int>(kScaleBlock) / columns;
  const unsigned blocks = divide_rows(job, columns);
  const int tiles = job.routes.offsets == nullptr ? (job.rows + kTokens - 1) / kTokens : job.rows;
  launch_overlapped(stream, gemv<Math, kRows, kTokens>, {blocks, static_cast<unsigned>(tiles)},
                    kBlockThreads, gemv_shared_bytes(kRows, kTokens), job);
}

/// For one row of x where that is all (a route has one row too, when the step has one token). With
/// few tokens a warp has `kFewRows` rows of w: as many as fit into registers.
template <class Math, int kFewRows = 4>
void launch_gemv_few(Stream& stream, const MatmulJob& job, int lanes, int units) {
  const int tokens = job.routes.offsets == nullptr ? job.rows : job.tokens;
  if (tokens == 1)
    launch_gemv<Math, 4, 1>(stream, job, lanes, units);
  else
    launch_gemv<Math, kFewRows, kFewTokens>(stream, job, lanes, units);
}

}  // namespace strata::STRATA_SIMT
