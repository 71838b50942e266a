#include "backends/simt/matmul/gemv_launch.h"
#include "backends/simt/matmul/int8_math.h"

namespace strata::STRATA_SIMT {

void launch_gemv_int8_32(Stream& stream, const MatmulJob& job, int lanes) {
  const int units = job.k / 32;
  switch (job.type) {
    case DType::Q4_0:
      return launch_gemv_few<Int8Planes<CodecQ4_0>>(stream, job, lanes, units);
    case DType::Q4_1:
      return launch_gemv_few<Int8Planes<CodecQ4_1>>(stream, job, lanes, units);
    case DType::Q5_0:  // four rows of it and of Q5_1 spill
      return launch_gemv_few<Int8Planes<CodecQ5_0>, 2>(stream, job, lanes, units);
    case DType::Q5_1:
      return launch_gemv_few<Int8Planes<CodecQ5_1>, 2>(stream, job, lanes, units);
    case DType::Q8_0:
      return launch_gemv_few<Int8Planes<CodecQ8_0>>(stream, job, lanes, units);
    case DType::IQ4_NL:
      return launch_gemv_few<Int8Planes<CodecIQ4_NL>>(stream, job, lanes, units);
    case DType::MXFP4:
      return launch_gemv_few<Int8Planes<CodecMXFP4>>(stream, job, lanes, units);
    default:
      return;
  }
}

}  // namespace strata::STRATA_SIMT
