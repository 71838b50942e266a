#include "backends/simt/matmul/float_math.h"
#include "backends/simt/matmul/gemv_launch.h"

namespace strata::STRATA_SIMT {
namespace {

template <DType kType>
void launch_type(Stream& stream, const MatmulJob& job, int lanes) {
  const int units = (job.k + kFloatUnit - 1) / kFloatUnit;
  if (job.aligned) return launch_gemv_few<FloatRows<kType, true>>(stream, job, lanes, units);
  launch_gemv<FloatRows<kType, false>, 2, kFewTokens>(stream, job, lanes, units);
}

}  // namespace

void launch_gemv_float(Stream& stream, const MatmulJob& job, int lanes) {
  switch (job.type) {
    case DType::F32:
      return launch_type<DType::F32>(stream, job, lanes);
    case DType::F16:
      return launch_type<DType::F16>(stream, job, lanes);
    case DType::BF16:
      return launch_type<DType::BF16>(stream, job, lanes);
    default:
      return;
  }
}

}  // namespace strata::STRATA_SIMT
