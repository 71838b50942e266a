#include "backends/simt/matmul/gemv_launch.h"
#include "backends/simt/matmul/int8_math.h"

namespace strata::STRATA_SIMT {

void launch_gemv_int8_k(Stream& stream, const MatmulJob& job, int lanes) {
  const int units = job.k / 32;
  switch (job.type) {
    case DType::Q2_K:
      return launch_gemv_few<Int8Planes<CodecQ2_K>>(stream, job, lanes, units);
    case DType::Q4_K:
      return launch_gemv_few<Int8Planes<CodecQ4_K>>(stream, job, lanes, units);
    // Four rows of the others spill.
    case DType::Q3_K:
      return launch_gemv_few<Int8Planes<CodecQ3_K>, 2>(stream, job, lanes, units);
    case DType::Q5_K:
      return launch_gemv_few<Int8Planes<CodecQ5_K>, 2>(stream, job, lanes, units);
    case DType::Q6_K:
      return launch_gemv_few<Int8Planes<CodecQ6_K>, 2>(stream, job, lanes, units);
    case DType::IQ4_XS:
      return launch_gemv_few<Int8Planes<CodecIQ4_XS>, 2>(stream, job, lanes, units);
    default:
      return;
  }
}

}  // namespace strata::STRATA_SIMT
