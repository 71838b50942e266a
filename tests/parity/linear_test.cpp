#include <gtest/gtest.h>

#include <algorithm>
#include <utility>

#include "tests/parity/linear_cases.h"

namespace strata::test::weights {
namespace {

std::string label(const std::string& device, DType dtype, const Shape3& s) {
  return device + " " + std::string(dtype_info(dtype).name) + " rows " + std::to_string(s.rows) +
         " n " + std::to_string(s.n) + " k " + std::to_string(s.k);
}

// A bias for odd heights only.
TensorView bias_of(const Tensor& bias, const Shape3& s) {
  return s.n % 2 == 1 ? bias.view : TensorView{};
}

TEST(Linear, F32PathFollowsTheReference) {
  for (DType dtype : weight_dtypes()) {
    for (const Shape3& s : linear_shapes(dtype)) {
      const Tensor x = float_rows(s.rows, s.k, 3);
      const Tensor w = linear_weights(dtype, s.n, s.k);
      const Tensor bias = float_rows(1, s.n, 5);
      const auto want = reference_linear(doubles(x), w, bias_of(bias, s));
      for (const std::string& name : device_names()) {
        Device& device = test_device(name, 2);
        const double error = product_error(device, dtype, s.rows);
        expect_close(linear(device, x.view, w.view, bias_of(bias, s)), want,
                     f32_roundings(device, s.k), label(name, dtype, s), error);
        // A CPU multiplies packed weights with quantized activations only.
        if (exact_bits(device) || !is_quantized(dtype)) continue;
        expect_close(linear(device, x.view, packed(device, w).view, bias_of(bias, s)), want,
                     f32_roundings(device, s.k), label(name, dtype, s) + " packed", error);
      }
    }
  }
}

TEST(Linear, Int8PathFollowsTheReference) {
  for (DType dtype : int8_dtypes()) {
    for (const Shape3& s : linear_shapes(dtype)) {
      const Tensor w = linear_weights(dtype, s.n, s.k);
      const Tensor bias = float_rows(1, s.n, 5);
      for (const std::string& name : device_names()) {
        Device& device = test_device(name, 2);
        if (!exact_bits(device) && !takes(device, dtype, Layout::quantized, s.rows)) continue;
        const Tensor x = quantized(device, float_rows(s.rows, s.k, 3));
        const auto want = reference_linear(quantized_doubles(x), w, bias_of(bias, s));
        const std::string what = label(name, dtype, s);
        const auto first = linear(device, x.view, w.view, bias_of(bias, s));
        expect_close(first, want, int8_roundings(device, s.k), what + " rows");
        const auto second = linear(device, x.view, packed(device, w).view, bias_of(bias, s));
        expect_close(second, want, int8_roundings(device, s.k), what + " packed");
        if (exact_bits(device)) expect_same_bits(second, first, what + " packed");
      }
    }
  }
}

// Activations rounded to bf16: weights may be rounded to it as well, products are exact.
TEST(Linear, Bf16PathFollowsTheReference) {
  for (DType dtype : weight_dtypes()) {
    for (const Shape3& s : linear_shapes(dtype)) {
      const Tensor w = linear_weights(dtype, s.n, s.k);
      const Tensor bias = float_rows(1, s.n, 5);
      for (const std::string& name : device_names()) {
        Device& device = test_device(name, 2);
        if (!takes(device, dtype, Layout::rounded, s.rows)) continue;
        const Tensor x = rounded(device, float_rows(s.rows, s.k, 3));
        const auto want = reference_linear(rounded_doubles(x), w, bias_of(bias, s));
        const double weight_error = dtype == DType::BF16 ? 0 : 0x1p-8;
        const std::string what = label(name, dtype, s);
        expect_close(linear(device, x.view, w.view, bias_of(bias, s)), want,
                     f32_roundings(device, s.k), what, weight_error);
        if (!is_quantized(dtype)) continue;
        expect_close(linear(device, x.view, packed(device, w).view, bias_of(bias, s)), want,
                     f32_roundings(device, s.k), what + " packed", weight_error);
      }
    }
  }
}

// The extremes: all products of one sign and as large as they get, for one token and for many.
TEST(Linear, Int8SumsNeverSaturate) {
  for (DType dtype : int8_dtypes()) {
    const std::int64_t k = 2 * dtype_info(dtype).block_elements;
    for (std::int64_t rows : {1, 2, 12}) {
      auto values = std::vector<float>(static_cast<std::size_t>(rows * k), 1.0F);
      for (std::size_t i = 0; i < values.size() / 2; ++i) values[i] = -1.0F;
      const Tensor x = tensor_of({DType::F32, Layout::rows, {rows, k}}, values.data());
      for (int quant : {0x00, 0x7f, 0x80, 0x81, 0xff, 0xf0, 0x0f}) {
        const auto bytes = uniform_weights(dtype, 16, k, quant);
        const Tensor w = tensor_of({dtype, Layout::rows, {16, k}}, bytes.data());
        for (const std::string& name : device_names()) {
          Device& device = test_device(name, 1);
          if (!exact_bits(device) && !takes(device, dtype, Layout::quantized, rows)) continue;
          const Tensor xq = quantized(device, x);
          expect_close(
              linear(device, xq.view, packed(device, w).view, {}),
              reference_linear(quantized_doubles(xq), w, {}), int8_roundings(device, k),
              name + " " + std::string(dtype_info(dtype).name) + " " + std::to_string(quant));
        }
      }
    }
  }
}

// A row block of w writes its columns of out and no others.
TEST(Linear, RowBlocksGiveTheBitsOfTheWhole) {
  const Tensor bias = float_rows(1, 33, 5);
  for (const std::string& name : device_names()) {
    Device& device = test_device(name, 2);
    for (const std::int64_t rows : batches({1, 17, 130})) {
      for (DType dtype : {DType::F32, DType::Q8_0, DType::Q4_0, DType::Q6_K, DType::Q2_K}) {
        for (const Sample& sample : linear_samples(device, dtype, rows)) {
          const auto whole = linear(device, sample.x.view, sample.w.view, bias.view);
          const Tensor out = make_tensor({DType::F32, Layout::rows, {rows, 33}}, std::byte{0xff});
          for (const auto& [first, count] : {std::pair{32, 1}, {0, 16}, {16, 16}}) {
            TensorView columns = out.view;
            columns.data += first * 4;
            columns.shape[1] = count;
            TensorView block_bias = bias.view;
            block_bias.data += first * 4;
            block_bias.shape[1] = count;
            run_op(device, Linear{},
                   {sample.x.view, rows_of(sample.w.view, first, count), block_bias}, {columns});
          }
          expect_same_bits(floats_of(out.view), whole, name + " " + sample.name);
        }
      }
    }
  }
}

TEST(Linear, WritesNothingBeyondItsColumns) {
  for (const std::string& name : device_names()) {
    Device& device = test_device(name, 2);
    for (const std::int64_t rows : batches({1, 17, 130})) {
      for (const Sample& sample : linear_samples(device, DType::Q4_0, rows)) {
        const Tensor out = make_tensor({DType::F32, Layout::rows, {rows, 40}}, std::byte{0x2a});
        TensorView columns = out.view;
        columns.data += 3 * 4;
        columns.shape[1] = 33;
        run_op(device, Linear{}, {sample.x.view, sample.w.view, {}}, {columns});
        for (std::int64_t r = 0; r < rows; ++r)
          for (std::int64_t b = 0; b < 160; ++b)
            ASSERT_TRUE((b >= 12 && b < 144) || out.view.row(r)[b] == std::byte{0x2a})
                << name << " " << sample.name << " row " << r << " byte " << b;
      }
    }
  }
}

}  // namespace
}  // namespace strata::test::weights
