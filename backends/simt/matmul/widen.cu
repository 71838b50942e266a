#include "backends/simt/matmul/gemm_weights.h"
#include "backends/simt/matmul/widen.h"

// Weights as rows of bf16, for the vendor's library of matrix products.
namespace strata::STRATA_SIMT {
namespace {

struct WidenJob {
  MatmulJob matmul;
  std::uint16_t* to;  ///< (rows, k)
  int first;
  int rows;
  bool up;
};

// A thread per unit of 32 columns.
template <class Weights>
STRATA_KERNEL STRATA_BOUNDS(kBlockThreads) void widen(WidenJob job) {
  const MatmulJob& matmul = job.matmul;
  const int units = Weights::units(matmul.k);
  const std::int64_t i = static_cast<std::int64_t>(block_x()) * threads_x() + thread_x();
  if (i >= static_cast<std::int64_t>(units) * job.rows) return;
  const auto row = static_cast<int>(i / units);
  const auto unit = static_cast<int>(i % units);
  const RowPlace place = place_of_row(matmul, matmul.matrices[0], 0, job.up, job.first + row,
                                      Weights::blocks(matmul.k));
  Int4 halves[4] = {};
  Weights::decode(matmul, Weights::load(matmul, place, unit), unit, halves);
  std::uint16_t* to = job.to + static_cast<std::int64_t>(row) * matmul.k;
  STRATA_UNROLL
  for (int c = 0; c < 4; ++c) {
    const int column = Weights::column(unit, c / 2, matmul) + c % 2 * 8;
    if (column < matmul.k) store16(to + column, halves[c]);
  }
}

template <class Weights>
void launch_of(Stream& stream, const WidenJob& job) {
  const std::int64_t units = groups(job.matmul.k, 32) * job.rows;
  launch(stream, widen<Weights>, {static_cast<unsigned>(groups(units, kBlockThreads))},
         kBlockThreads, 0, job);
}

void launch_planes(Stream& stream, const WidenJob& job) {
  switch (job.matmul.type) {
    case DType::Q4_0:
      return launch_of<PlaneWeights<CodecQ4_0>>(stream, job);
    case DType::Q4_1:
      return launch_of<PlaneWeights<CodecQ4_1>>(stream, job);
    case DType::Q5_0:
      return launch_of<PlaneWeights<CodecQ5_0>>(stream, job);
    case DType::Q5_1:
      return launch_of<PlaneWeights<CodecQ5_1>>(stream, job);
    case DType::Q8_0:
      return launch_of<PlaneWeights<CodecQ8_0>>(stream, job);
    case DType::IQ4_NL:
      return launch_of<PlaneWeights<CodecIQ4_NL>>(stream, job);
    case DType::MXFP4:
      return launch_of<PlaneWeights<CodecMXFP4>>(stream, job);
    case DType::Q2_K:
      return launch_of<PlaneWeights<CodecQ2_K>>(stream, job);
    case DType::Q3_K:
      return launch_of<PlaneWeights<CodecQ3_K>>(stream, job);
    case DType::Q4_K:
      return launch_of<PlaneWeights<CodecQ4_K>>(stream, job);
    case DType::Q5_K:
      return launch_of<PlaneWeights<CodecQ5_K>>(stream, job);
    case DType::Q6_K:
      return launch_of<PlaneWeights<CodecQ6_K>>(stream, job);
    case DType::IQ4_XS:
      return launch_of<PlaneWeights<CodecIQ4_XS>>(stream, job);
    default:
      return;
  }
}

}  // namespace

void launch_widen(Stream& stream, const MatmulJob& job, bool up, int first, int rows,
                  std::byte* to) {
  const WidenJob widened{job, reinterpret_cast<std::uint16_t*>(to), first, rows, up};
  if (job.type == DType::F16) return launch_of<HalfWeights<DType::F16>>(stream, widened);
  if (job.type == DType::BF16) return launch_of<HalfWeights<DType::BF16>>(stream, widened);
  if (!job.planes) return launch_of<FileWeights>(stream, widened);
  launch_planes(stream, widened);
}

}  // namespace strata::STRATA_SIMT
