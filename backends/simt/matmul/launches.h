#pragma once

#include "backends/simt/matmul/job.h"

// One function per family of matmul kernels; each family is a source file (or two), so that none
// takes long to compile. All enqueue the whole job.
namespace strata::STRATA_SIMT {

/// Most rows of x that are multiplied at one reading of the weights by kernels that are made for
/// few.
inline constexpr int kFewTokens = 8;

/// x quantized, w quantized: integer dot products. `lanes` of the device.
void launch_gemv_int8(Stream& stream, const MatmulJob& job, int lanes);
void launch_gemv_int8_32(Stream& stream, const MatmulJob& job,
                         int lanes);                                       ///< planes, blocks of 32
void launch_gemv_int8_k(Stream& stream, const MatmulJob& job, int lanes);  ///< planes, of 256
void launch_gemv_int8_file(Stream& stream, const MatmulJob& job, int lanes);  ///< rows, any dtype
/// x f32, w F32, F16 or BF16 in rows.
void launch_gemv_float(Stream& stream, const MatmulJob& job, int lanes);
/// x f32, w of any dtype and layout.
void launch_gemm_f32(Stream& stream, MatmulJob job);
/// x rounded, w of any dtype but F32, in any layout: bf16 products, f32 sums.
void launch_gemm_bf16(Stream& stream, const MatmulJob& job, int lanes);
// Of those in planes, a few dtypes each; and of all of them in rows.
void launch_gemm_bf16_4(Stream& stream, const MatmulJob& job, int lanes);
void launch_gemm_bf16_5(Stream& stream, const MatmulJob& job, int lanes);
void launch_gemm_bf16_codes(Stream& stream, const MatmulJob& job, int lanes);
void launch_gemm_bf16_k2(Stream& stream, const MatmulJob& job, int lanes);
void launch_gemm_bf16_k4(Stream& stream, const MatmulJob& job, int lanes);
void launch_gemm_bf16_file(Stream& stream, const MatmulJob& job, int lanes);

/// Gives each matrix the blocks that its rows take at `rows_per_block`; returns how many in all.
inline unsigned divide_rows(MatmulJob& job, int rows_per_block) {
  int blocks = 0;
  for (MatmulMatrix& matrix : job.matrices) {
    if (matrix.n == 0) {
      matrix.first_block = 0x7fffffff;
      continue;
    }
    matrix.first_block = blocks;
    blocks += (matrix.n + rows_per_block - 1) / rows_per_block;
  }
  return static_cast<unsigned>(blocks);
}

STRATA_BOTH bool dtype_blocks_256(DType type) {
  return type == DType::Q2_K || type == DType::Q3_K || type == DType::Q4_K || type == DType::Q5_K ||
         type == DType::Q6_K || type == DType::IQ4_XS;
}

}  // namespace strata::STRATA_SIMT
