#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "tests/parity/weight_ops.h"
#include "tests/reference/linear.h"

namespace strata::test::weights {

struct Shape3 {
  std::int64_t rows, n, k;
};

/// Odd sizes around tiles and panels, of at most largest_batch() rows; k whole blocks of the dtype.
std::vector<Shape3> linear_shapes(DType dtype);

/// Random w (n, k) in the file's layout, and random f32 rows.
Tensor linear_weights(DType dtype, std::int64_t n, std::int64_t k);
Tensor float_rows(std::int64_t rows, std::int64_t columns, std::uint64_t seed);

/// The op linear on these operands, as rows of w.rows() floats.
std::vector<float> linear(Device& device, const TensorView& x, const TensorView& w,
                          const TensorView& bias);

/// Every output of x (rows of doubles) times w.
std::vector<reference::Sum> reference_linear(const std::vector<std::vector<double>>& x,
                                             const Tensor& w, const TensorView& bias);
/// What x in each layout stands for.
std::vector<std::vector<double>> doubles(const Tensor& x);
std::vector<std::vector<double>> quantized_doubles(const Tensor& x);
std::vector<std::vector<double>> rounded_doubles(const Tensor& x);

/// `roundings`: how many f32 roundings a term of the sum goes through at most; `weight_error`: how
/// far a weight may be from its value, as a share of it.
void expect_close(const std::vector<float>& got, const std::vector<reference::Sum>& want,
                  double roundings, const std::string& what, double weight_error = 0);
void expect_same_bits(const std::vector<float>& got, const std::vector<float>& want,
                      const std::string& what);
/// The same bits where the device promises them, else results of two orders of summation, or of
/// products that are off by `product_error`.
void expect_same(const Device& device, const std::vector<float>& got,
                 const std::vector<float>& want, const std::string& what, double product_error = 0);

/// How far products of f32 activations and weights of `dtype` may be off, as a share of them, for
/// so many rows: some devices round both to halves for prompts.
double product_error(Device& device, DType dtype, std::int64_t rows);

/// Roundings of a term: of the weight, of the products and sums, of the bias.
double f32_roundings(const Device& device, std::int64_t k);
/// Times at most two scales and a factor, at most two minima added, times the scale of x; one
/// addition per block; the bias.
double int8_roundings(const Device& device, std::int64_t k);

std::vector<DType> int8_dtypes();

TensorView rows_of(TensorView view, std::int64_t first, std::int64_t count);

/// x f32 or quantized, w rows or packed, in every combination that the device takes; 33 rows of w.
struct Sample {
  Tensor x, w;
  std::string name;
};
std::vector<Sample> linear_samples(Device& device, DType dtype, std::int64_t rows);

}  // namespace strata::test::weights
